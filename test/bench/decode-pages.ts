/**
 * The page decoder's CPU time per event: `node build/test/bench/decode-pages.js`. Needs no guests and no rights.
 *
 * Whole recordings are decoded repeatedly: CPU by CPU or merged by time, into a sink that only stores a value (the
 * decoder alone) or into the agent's counters. Each case runs in a process of its own, because the agent has one kind
 * of sink, too. The results are the CPU time of the process, as the best and the median of 15 rounds.
 */
import { execFileSync } from 'node:child_process';
import { KernelCounts } from '../../src/count/kernel-counts.js';
import { KnownReasons } from '../../src/count/vcpu/known-reasons.js';
import { PageCursor } from '../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../src/decode/ftrace/record-decoder.js';
import { raiseInliningBudget } from '../../src/system/program/compiler.js';
import { Names } from '../../src/trace/names.js';
import type { TraceSink, Vocabulary } from '../../src/trace/sink.js';
import { NoOpSink } from '../../src/trace/sink.js';
import { readFixture } from '../support/fixtures.js';
import { median } from '../support/median.js';
import { readFormats } from '../support/trace/recorded-formats.js';

const ROUNDS = 15;
const EVENTS_PER_ROUND = 1_000_000;

const RECORDINGS = [
  { name: 'svm/two-vms-6.12', files: ['raw/cpu0.raw', 'raw/cpu1.raw'], pageSize: 4096 },
  { name: 'demo', files: ['raw/cpu0.first-2000-pages.raw'], pageSize: 4096 },
  { name: 'ftrace-raw/d1-drained-after', files: ['cpu0.raw', 'cpu1.raw'], pageSize: 4096 },
];

/** Stores one argument of each call, so that V8 cannot optimize the calls away. */
class StoringSink extends NoOpSink {
  last = 0;
  override qemuRunExit(_timeNs: number, _id: number, _cpuIndex: number, reason: number): void {
    this.last = reason;
  }
  override qemuEvent(_timeNs: number, _id: number, event: number): void {
    this.last = event;
  }
  override lost(cpu: number): void {
    this.last = cpu;
  }
  override malformed(): void {
    this.last = -1;
  }
  override thread(tid: number): void {
    this.last = tid;
  }
  override tracepoint(_timeNs: number, _cpu: number, _tid: number, name: number): void {
    this.last = name;
  }
  override vmExit(_timeNs: number, _cpu: number, _tid: number, _vcpu: number, reason: number): void {
    this.last = reason;
  }
  override vmEntry(_timeNs: number, cpu: number): void {
    this.last = cpu;
  }
  override userspaceExit(_timeNs: number, _cpu: number, _tid: number, reason: number): void {
    this.last = reason;
  }
  override portIo(_timeNs: number, _cpu: number, _tid: number, _write: boolean, port: number): void {
    this.last = port;
  }
  override mmio(_timeNs: number, _cpu: number, _tid: number, access: number): void {
    this.last = access;
  }
  override fastMmio(_timeNs: number, cpu: number): void {
    this.last = cpu;
  }
}

interface Result {
  /** Events in the recording. */
  readonly events: number;
  readonly bestNs: number;
  readonly medianNs: number;
}

function measure(
  recording: (typeof RECORDINGS)[number],
  makeSink: (vocabulary: Vocabulary) => TraceSink,
  merged: boolean,
): Result {
  const vocabulary: Vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
  const decoder = new RecordDecoder({ formats: readFormats(recording.name), vocabulary, sink: makeSink(vocabulary) });
  const cpus = recording.files.map((file, cpu) => ({
    cursor: new PageCursor(decoder, cpu),
    pages: split(readFixture(`${recording.name}/${file}`), recording.pageSize),
  }));
  const pass = merged ? runMerged : runOneByOne;
  const events = pass(cpus);
  const nsPerEvent: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const passes = Math.max(1, Math.round(EVENTS_PER_ROUND / events));
    const start = process.cpuUsage();
    for (let i = 0; i < passes; i++) pass(cpus);
    const { user, system } = process.cpuUsage(start);
    nsPerEvent.push(((user + system) * 1000) / (passes * events));
  }
  return { events, bestNs: Math.min(...nsPerEvent), medianNs: median(nsPerEvent) };
}

interface Cpu {
  readonly cursor: PageCursor;
  readonly pages: readonly Uint8Array[];
}

function runOneByOne(cpus: readonly Cpu[]): number {
  let events = 0;
  for (const { cursor, pages } of cpus) {
    for (const page of pages) {
      cursor.load(page);
      events += cursor.run(Number.POSITIVE_INFINITY);
    }
  }
  return events;
}

/** Merges the pages of the CPUs by time, as the agent does. */
function runMerged(cpus: readonly Cpu[]): number {
  const next = cpus.map(() => 0);
  let events = 0;
  for (;;) {
    let first: PageCursor | undefined;
    let untilNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < cpus.length; i++) {
      const { cursor, pages } = cpus[i] as Cpu;
      while (cursor.nextTimeNs === Number.POSITIVE_INFINITY && (next[i] as number) < pages.length) {
        cursor.load(pages[next[i] as number] as Uint8Array);
        next[i] = (next[i] as number) + 1;
      }
      if (first === undefined || cursor.nextTimeNs < first.nextTimeNs) {
        if (first !== undefined) untilNs = first.nextTimeNs;
        first = cursor;
      } else if (cursor.nextTimeNs < untilNs) untilNs = cursor.nextTimeNs;
    }
    if (first === undefined || first.nextTimeNs === Number.POSITIVE_INFINITY) return events;
    events += first.run(untilNs);
  }
}

function split(bytes: Uint8Array, pageSize: number): Uint8Array[] {
  const pages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pageSize) pages.push(bytes.subarray(at, at + pageSize));
  return pages;
}

const SINKS: ReadonlyMap<string, (vocabulary: Vocabulary) => TraceSink> = new Map([
  ['decode', () => new StoringSink()],
  ['decode and count', countingSink],
]);

/** The agent's own counters, with everything that it counts by default. */
function countingSink({ reasons }: Vocabulary): TraceSink {
  const collectors = { duration: true, causes: true, io: true, eventfd: true, indices: false };
  return new KernelCounts({ collectors, reasons: new KnownReasons(reasons) });
}
const ORDERS = ['CPU by CPU', 'merged'];

function runCase([recordingName, sinkName, order]: readonly string[]): void {
  const recording = RECORDINGS.find(({ name }) => name === recordingName);
  const makeSink = SINKS.get(sinkName ?? '');
  if (recording === undefined || makeSink === undefined)
    throw new Error(`there is no case ${recordingName} ${sinkName}`);
  const { events, bestNs, medianNs } = measure(recording, makeSink, order === 'merged');
  console.log(
    tableRow(recordingName ?? '', String(events), sinkName ?? '', order ?? '', bestNs.toFixed(1), medianNs.toFixed(1)),
  );
}

const tableRow = (recording: string, events: string, work: string, order: string, best: string, middle: string) =>
  [
    recording.padEnd(28),
    events.padStart(8),
    ` ${work.padEnd(17)}`,
    order.padEnd(10),
    best.padStart(8),
    middle.padStart(8),
  ].join(' ');

function runAllCases(): void {
  console.log('CPU time per event of the page decoder, in nanoseconds');
  console.log(tableRow('recording', 'events', 'work', 'order', 'best', 'median'));
  for (const { name } of RECORDINGS) {
    for (const sink of SINKS.keys()) {
      for (const order of ORDERS) {
        process.stdout.write(execFileSync(process.execPath, [import.meta.filename, name, sink, order]));
      }
    }
  }
}

raiseInliningBudget();
if (process.argv.length > 2) runCase(process.argv.slice(2));
else runAllCases();
