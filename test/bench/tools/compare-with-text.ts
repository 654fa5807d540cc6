import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../../support/paths.js';

/** A binary recording, and the tool that prints it as text. */
export interface Contest {
  /** Name of the file. */
  readonly name: string;
  readonly write: (path: string) => void;
  readonly printer: (path: string) => readonly [command: string, ...args: string[]];
}

/** An odd number, so that there is a middle one. */
const ROUNDS = 3;
/** USER_HZ, the unit of times in /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

/**
 * Runs `report` on a binary recording, then the tool that prints it followed by `report` on its text; all this several
 * times. Prints elapsed time, CPU time, the file's MB per second, and the most memory that a process held: those of the
 * round with the middle CPU time. CPU times can be compared on a busy machine too.
 */
export async function compareWithText({ name, write, printer }: Contest): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-report-'));
  try {
    const [path, text] = [join(folder, name), join(folder, 'text')];
    write(path);
    const { size } = statSync(path);
    const report = (file: string) =>
      run(process.execPath, [MAIN, 'report', '--format=json', file], join(folder, 'json'));
    const [command, ...args] = printer(path);
    const [direct, viaText]: [Run[], Run[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      direct.push(await report(path));
      viaText.push(together(await run(command, args, text), await report(text)));
    }
    console.log(`report on a ${name} of ${(size / 1e6).toFixed(0)} MB, the middle one of ${ROUNDS} rounds`);
    print(`report ${name}`, size, middle(direct));
    print(`${command} ${args[0]}, then report on the text`, size, middle(viaText));
    const ratios = direct.map(({ cpuSeconds }, round) => (viaText[round]?.cpuSeconds ?? Number.NaN) / cpuSeconds);
    const sorted = ratios.sort((a, b) => a - b).map((ratio) => ratio.toFixed(1));
    console.log(`CPU time: ${sorted[ROUNDS >> 1]} times as fast (${sorted[0]} to ${sorted.at(-1)})`);
  } catch (error) {
    console.log(
      `the comparison does not work on this machine: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Run {
  readonly seconds: number;
  /** User and system time. */
  readonly cpuSeconds: number;
  /** The most memory held, in MB. */
  readonly megabytes: number;
}

async function run(command: string, args: readonly string[], output: string): Promise<Run> {
  const [start, cpuBefore] = [performance.now(), cpuOfEndedChildren()];
  const child = spawn(command, args, { stdio: ['ignore', openSync(output, 'w'), 'ignore'] });
  let megabytes = 0;
  const watch = setInterval(() => {
    megabytes = Math.max(megabytes, memoryOf(child));
  }, 20);
  const status = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  clearInterval(watch);
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, cpuSeconds: cpuOfEndedChildren() - cpuBefore, megabytes };
}

/** CPU seconds of all children that have ended: fields 16 and 17 of the process's `stat`. */
function cpuOfEndedChildren(): number {
  const [, rest = ''] = /\) (.*)/.exec(readFileSync('/proc/self/stat', 'utf8')) ?? [];
  const [user = 0, system = 0] = rest.split(' ').slice(13, 15).map(Number);
  return (user + system) / TICKS_PER_SECOND;
}

/** MB held at most so far; 0 if the process has ended. */
function memoryOf({ pid }: ChildProcess): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;
  } catch {
    return 0;
  }
}

/** Two runs, one after the other. */
function together(a: Run, b: Run): Run {
  return {
    seconds: a.seconds + b.seconds,
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    megabytes: Math.max(a.megabytes, b.megabytes),
  };
}

function middle(runs: readonly Run[]): Run {
  return [...runs].sort((a, b) => a.cpuSeconds - b.cpuSeconds)[ROUNDS >> 1] as Run;
}

function print(what: string, fileBytes: number, { seconds, cpuSeconds, megabytes }: Run): void {
  const figures = [
    `${cpuSeconds.toFixed(2).padStart(7)} s of CPU`,
    `${seconds.toFixed(2).padStart(7)} s`,
    `${(fileBytes / 1e6 / seconds).toFixed(0).padStart(5)} MB/s`,
    `${megabytes.toFixed(0).padStart(6)} MB of memory`,
  ];
  console.log(`${what.padEnd(44)} ${figures.join(' ')}`);
}
