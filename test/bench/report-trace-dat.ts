/**
 * `report` on a trace.dat, beside `trace-cmd report` followed by `report` on its text:
 * `node build/test/bench/report-trace-dat.js [MB, by default 100]`. Needs trace-cmd for the second.
 *
 * The file is one of test/fixtures/trace-dat, with the pages of a CPU repeated, each time with later times. The results
 * are CPU time, elapsed time, the file's MB per second, and the most memory that a process held.
 */
import { openSync, writeSync } from 'node:fs';
import { readFixture } from '../support/fixtures.js';
import { compareWithText } from './tools/compare-with-text.js';

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

await compareWithText({
  name: 'trace.dat',
  write: (path) => writeTraceDat(path, Number(process.argv[2] ?? 100)),
  printer: (path) => ['trace-cmd', 'report', '-i', path],
});
