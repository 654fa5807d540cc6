/**
 * `report` on a trace.dat, beside `trace-cmd report` followed by `report` on its text:
 * `node build/test/bench/report-trace-dat.js [MB, by default 100]`. Needs trace-cmd for the second.
 *
 * The file is one of test/fixtures/trace-dat, with the pages of a CPU repeated, each time with later times. The results
 * are elapsed time, the file's MB per second, and the most memory that the process held.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFixture } from '../support/fixtures.js';
import { MAIN } from '../support/paths.js';

const PAGE_SIZE = 4096;
const RECORDING = 'trace-dat/v6-6.12.dat';
/** Place of the pages of CPU 1, which are at the end of the file, and of their size in the table of pages. */
const CPU1_PAGES = 102_400;
const CPU1_SIZE = 'flyrecord\0'.length + 16 + 8;

/** Writes the recording with the pages of its CPU 1 repeated. */
function writeTraceDat(path: string, megabytes: number): void {
  const recording = readFixture(RECORDING);
  const pages = recording.subarray(CPU1_PAGES);
  const copies = Math.max(1, Math.round((megabytes * 1e6) / pages.length));
  recording.writeBigUInt64LE(BigInt(copies * pages.length), recording.indexOf('flyrecord\0') + CPU1_SIZE);
  const file = openSync(path, 'wx');
  writeSync(file, recording.subarray(0, CPU1_PAGES));
  const span = pages.readBigUInt64LE(pages.length - PAGE_SIZE) - pages.readBigUInt64LE(0) + 1_000_000_000n;
  for (let copy = 0; copy < copies; copy++) {
    writeSync(file, pages);
    for (let at = 0; at < pages.length; at += PAGE_SIZE) pages.writeBigUInt64LE(pages.readBigUInt64LE(at) + span, at);
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
  const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
  const megabytes = Math.max(...runs.map((run) => run.megabytes));
  console.log(
    `${what.padEnd(44)} ${seconds.toFixed(2).padStart(7)} s ${(fileBytes / 1e6 / seconds).toFixed(0).padStart(5)} MB/s ${megabytes.toFixed(0).padStart(6)} MB of memory`,
  );
}

const folder = mkdtempSync(join(tmpdir(), 'bench-trace-dat-'));
try {
  const [path, text] = [join(folder, 'trace.dat'), join(folder, 'trace.txt')];
  writeTraceDat(path, Number(process.argv[2] ?? 100));
  const { size } = statSync(path);
  const report = (file: string) => run(process.execPath, [MAIN, 'report', '--format=json', file], join(folder, 'json'));
  console.log(`report on a trace.dat of ${(size / 1e6).toFixed(0)} MB`);
  const direct = [await report(path)];
  print('report trace.dat', size, direct);
  const viaText = [await run('trace-cmd', ['report', '-i', path], text), await report(text)];
  print('trace-cmd report, then report on the text', size, viaText);
  const seconds = (runs: readonly Run[]) => runs.reduce((sum, run) => sum + run.seconds, 0);
  console.log(`${(seconds(viaText) / seconds(direct)).toFixed(1)} times as fast`);
} catch (error) {
  console.log(
    `the comparison does not work on this machine: ${error instanceof Error ? error.message : String(error)}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
