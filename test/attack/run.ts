/**
 * Attacks the real program, one attack after the other: `npm run attack -- [SECONDS] [NAME]`.
 *
 * Each attack has an agent of its own with 1024 descriptors, lasts SECONDS (default: 5), stays on the loopback
 * interface and ends by itself. NAME selects attacks by a part of their names. Prints `held` or `broke` for each, with
 * the figures of {@link Outcome}. The exit code is 1 if an attack broke a limit.
 */
import { availableParallelism, loadavg } from 'node:os';
import { endAll } from '../support/end-later.js';
import { ATTACKS } from './list.js';
import { runAttack } from './run-attack.js';

const [secondsText = '5', part = ''] = process.argv.slice(2);
const seconds = Number(secondsText);
if (!(seconds >= 1 && seconds <= 600)) throw new Error(`expected 1 to 600 seconds, not ${secondsText}`);

let broken = 0;
for (const attack of ATTACKS.filter(({ name }) => name.includes(part))) {
  const { memory, stallSeconds, healthySeconds, checks, problems } = await runAttack(attack, seconds);
  if (problems.length > 0) broken++;
  const figures = [
    `${Math.round(memory / 1e6)} MB`,
    `stall ${stallSeconds.toFixed(2)} s`,
    `healthy within ${healthySeconds.toFixed(2)} s (${checks} checks)`,
  ].join(', ');
  console.log(`${problems.length === 0 ? 'held ' : 'broke'}  ${attack.class}: ${attack.name}: ${figures}`);
  for (const problem of problems) console.log(`         ${problem}`);
  await endAll();
}
console.log(
  `load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} CPUs; times say little if other programs use them`,
);
if (broken > 0) process.exitCode = 1;
