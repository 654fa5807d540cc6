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

/**
 * Runs `report` on a binary recording, then the tool that prints it followed by `report` on its text. Prints the
 * elapsed time, the file's MB per second, and the most memory that a process held.
 */
export async function compareWithText({ name, write, printer }: Contest): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-report-'));
  try {
    const [path, text] = [join(folder, name), join(folder, 'text')];
    write(path);
    const { size } = statSync(path);
    const report = (file: string) =>
      run(process.execPath, [MAIN, 'report', '--format=json', file], join(folder, 'json'));
    console.log(`report on a ${name} of ${(size / 1e6).toFixed(0)} MB`);
    const direct = [await report(path)];
    print(`report ${name}`, size, direct);
    const [command, ...args] = printer(path);
    const viaText = [await run(command, args, text), await report(text)];
    print(`${command} ${args[0]}, then report on the text`, size, viaText);
    console.log(`${(seconds(viaText) / seconds(direct)).toFixed(1)} times as fast`);
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
  /** The most memory held, in MB. */
  readonly megabytes: number;
}

async function run(command: string, args: readonly string[], output: string | number): Promise<Run> {
  const start = performance.now();
  const stdout = typeof output === 'string' ? openSync(output, 'w') : output;
  const child = spawn(command, args, { stdio: ['ignore', stdout, 'ignore'] });
  let megabytes = 0;
  const watch = setInterval(() => {
    megabytes = Math.max(megabytes, memoryOf(child));
  }, 20);
  const status = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  clearInterval(watch);
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  return { seconds: (performance.now() - start) / 1000, megabytes };
}

/** MB held at most so far; 0 if the process has ended. */
function memoryOf({ pid }: ChildProcess): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;
  } catch {
    return 0;
  }
}

function print(what: string, fileBytes: number, runs: readonly Run[]): void {
  const megabytes = Math.max(...runs.map((run) => run.megabytes));
  console.log(
    `${what.padEnd(44)} ${seconds(runs).toFixed(2).padStart(7)} s ${(fileBytes / 1e6 / seconds(runs)).toFixed(0).padStart(5)} MB/s ${megabytes.toFixed(0).padStart(6)} MB of memory`,
  );
}

function seconds(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + run.seconds, 0);
}
