/**
 * What the executable costs beside the npm package in plain Node.js:
 *
 *   node build/test/packaging/executable-cost.js [SECONDS]
 *
 * Prints sizes, the time of `--version`, and the memory of idle agents after that many seconds (45 if not given).
 * `npm run package` must have made the executable, and Node.js is the one that runs this.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OUTPUT } from '../../packaging/paths.js';
import { HOST } from '../../packaging/targets.js';
import { median } from '../support/median.js';
import { MAIN } from '../support/paths.js';

const STARTS = 15;
const PROGRAMS: Readonly<Record<string, readonly [program: string, ...args: string[]]>> = {
  executable: [join(OUTPUT, `kvm-exit-exporter-linux-${HOST}`)],
  [`Node.js ${process.versions.node}`]: [process.execPath, MAIN],
};
const [seconds = 45] = process.argv.slice(2).map(Number);

/** Time until the program has printed its version and ended. */
function startMs([program, ...args]: readonly [string, ...string[]]): number {
  const beganMs = performance.now();
  const { status } = spawnSync(program, [...args, '--version'], { stdio: 'ignore' });
  if (status !== 0) throw new Error(`${program} --version ended with ${status}`);
  return performance.now() - beganMs;
}

function megabytes({ pid }: ChildProcess, field: string): string {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return (Number(new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(text)?.[1]) / 1000).toFixed(1);
}

const folder = mkdtempSync(join(tmpdir(), 'cost-'));
const children: ChildProcess[] = [];
try {
  const times = Object.keys(PROGRAMS).map(() => [] as number[]);
  // In turns, so that what else the machine does falls on all of them.
  for (let start = 0; start < STARTS; start++)
    for (const [index, command] of Object.values(PROGRAMS).entries()) times[index]?.push(startMs(command));
  for (const [index, [name, [program]]] of Object.entries(PROGRAMS).entries()) {
    const ms = times[index] ?? [];
    const figures = `least of ${STARTS} ${Math.min(...ms).toFixed(0)} ms, median ${median(ms).toFixed(0)} ms`;
    console.log(`${name}: ${(statSync(program).size / 1e6).toFixed(1)} MB; --version ${figures}`);
  }
  // Neither a VM nor a source.
  mkdirSync(join(folder, 'proc/1'), { recursive: true });
  const args = ['--no-collector.kernel', `--path.procfs=${folder}/proc`, '--web.listen-address=127.0.0.1:0'];
  for (const [program, ...first] of Object.values(PROGRAMS))
    children.push(spawn(program, [...first, 'run', ...args], { stdio: 'ignore' }));
  await sleep(seconds * 1000);
  for (const [index, name] of Object.keys(PROGRAMS).entries()) {
    const child = children[index];
    if (child === undefined || child.exitCode !== null) throw new Error(`${name}: the agent has ended`);
    const figures = ['Rss', 'Anonymous', 'Private_Dirty'].map((field) => `${field} ${megabytes(child, field)}`);
    console.log(`${name}: MB after ${seconds} s: ${figures.join(', ')}`);
  }
} finally {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  }
  rmSync(folder, { recursive: true });
}
