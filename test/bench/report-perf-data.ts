/**
 * `report` on a perf.data, beside `perf script` followed by `report` on its text:
 * `node build/test/bench/report-perf-data.js [MB, by default 100]`. Needs perf for the second.
 *
 * The file is one of test/fixtures/perf-data, with its samples repeated, each time with later times. The results
 * are CPU time, elapsed time, the file's MB per second, and the most memory that a process held.
 */
import { openSync, writeSync } from 'node:fs';
import { readFixture } from '../support/fixtures.js';
import { compareWithText } from './tools/compare-with-text.js';

const RECORDING = 'perf-data/five-6.1.data';
/** Places in the header: offset and size of the records. */
const DATA_OFFSET = 40;
const DATA_SIZE = 48;
/** Entries of the table of features are two numbers of 8 bytes. */
const ENTRY = 16;
const SAMPLE = 9;
const FINISHED_ROUND = 68;
/** Place of the time in a sample of the recording, whose fields are IDENTIFIER, IP, TID, TIME ... */
const TIME = 32;

/** Writes the recording with its samples repeated. */
function writePerfData(path: string, megabytes: number): void {
  const recording = readFixture(RECORDING);
  const start = Number(recording.readBigUInt64LE(DATA_OFFSET));
  const end = start + Number(recording.readBigUInt64LE(DATA_SIZE));
  const samples = recordsOf(recording, start, end).filter((record) => record.readUInt32LE() === SAMPLE);
  const round = Buffer.alloc(8);
  round.writeUInt32LE(FINISHED_ROUND);
  round.writeUInt16LE(round.length, 6);
  const copy = Buffer.concat([...samples, round]);
  const copies = Math.max(1, Math.round((megabytes * 1e6) / copy.length));
  const added = BigInt(copies * copy.length);
  recording.writeBigUInt64LE(BigInt(end - start) + added, DATA_SIZE);
  moveFeatures(recording, end, added);
  const file = openSync(path, 'wx');
  writeSync(file, recording.subarray(0, end));
  for (let n = 0; n < copies; n++) {
    for (const record of recordsOf(copy, 0, copy.length - round.length))
      record.writeBigUInt64LE(record.readBigUInt64LE(TIME) + 10_000_000_000n, TIME);
    writeSync(file, copy);
  }
  writeSync(file, recording.subarray(end));
}

function recordsOf(bytes: Buffer, start: number, end: number): Buffer[] {
  const records: Buffer[] = [];
  for (let at = start; at < end; at += bytes.readUInt16LE(at + 6))
    records.push(bytes.subarray(at, at + bytes.readUInt16LE(at + 6)));
  return records;
}

/** The first feature begins where the table of features ends. */
function moveFeatures(recording: Buffer, table: number, added: bigint): void {
  const tableEnd = Number(recording.readBigUInt64LE(table));
  for (let at = table; at < tableEnd; at += ENTRY)
    recording.writeBigUInt64LE(recording.readBigUInt64LE(at) + added, at);
}

await compareWithText({
  name: 'perf.data',
  write: (path) => writePerfData(path, Number(process.argv[2] ?? 100)),
  printer: (path) => ['perf', 'script', '-i', path],
});
