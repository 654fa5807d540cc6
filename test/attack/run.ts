/**
 * Attacks the real program, one attack after the other: `npm run attack -- [network|tenant] [SECONDS] [NAME]`.
 *
 * Each attack has an agent of its own, lasts SECONDS (default: 5), stays on the loopback interface and ends by itself.
 * The first word selects a class, NAME selects attacks by a part of their names. Prints `held`, `broke` or `skip` for
 * each, with its {@link Outcome}. The exit code is 1 if an attack broke a limit.
 */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../support/end-later.js';
import { ATTACKS } from './list.js';
import { type Outcome, runAttack } from './run-attack.js';

/** Longest time that an attack may take besides its own, to start and to end. */
const MAX_MORE_SECONDS = 120;

const words = process.argv.slice(2);
const wanted = words[0] === 'network' || words[0] === 'tenant' ? words.shift() : undefined;
const seconds = /^\d+$/.test(words[0] ?? '') ? Number(words.shift()) : 5;
if (!(seconds >= 1 && seconds <= 600)) throw new Error(`expected 1 to 600 seconds, not ${seconds}`);
const part = words.join(' ');

const attacks = ATTACKS.filter((attack) => attack.name.includes(part) && (wanted ?? attack.class) === attack.class);
const counts = { held: 0, broke: 0, skip: 0 };
for (const attack of attacks) {
  const print = (verdict: keyof typeof counts, text: string) => {
    counts[verdict]++;
    console.log(`${verdict.padEnd(5)}  ${attack.class}: ${attack.name}: ${text}`);
  };
  const reason = attack.skip?.();
  if (reason !== undefined) print('skip', reason);
  else {
    const late = sleep((seconds + MAX_MORE_SECONDS) * 1000, new Error('the attack did not end'), { ref: false });
    const outcome = await Promise.race([runAttack(attack, seconds), late]).catch((error: Error) => error);
    const problems = outcome instanceof Error ? [outcome.message] : outcome.problems;
    print(problems.length === 0 ? 'held' : 'broke', outcome instanceof Error ? 'not measured' : figuresOf(outcome));
    for (const problem of problems) console.log(`         ${problem.replaceAll('\n', '\n         ')}`);
  }
  await endAll();
}
console.log(
  `${counts.held} held, ${counts.broke} broke, ${counts.skip} skipped; load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} CPUs`,
);
if (counts.broke > 0) process.exitCode = 1;

function figuresOf({
  memory,
  stallSeconds,
  workSeconds,
  healthySeconds,
  healthyClockSeconds,
  checks,
  endSeconds,
}: Outcome): string {
  return [
    `${Math.round(memory / 1e6)} MB`,
    `work ${workSeconds.toFixed(2)} s (stall ${stallSeconds.toFixed(2)} s)`,
    `healthy within ${healthySeconds.toFixed(2)} s (${healthyClockSeconds.toFixed(2)} by the clock, ${checks} checks)`,
    `ended in ${endSeconds.toFixed(2)} s`,
  ].join(', ');
}
