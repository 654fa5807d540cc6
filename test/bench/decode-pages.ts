/**
 * The CPU time of an event, in parts: `node build/test/bench/decode-pages.js [turns]` as root, on a host without other
 * VMs.
 *
 *     find the records                 14.6 ns per event
 *     ... and decode them              46.6 ns per event
 *     ... and count them               75.8 ns per event
 *     a loop that only tallies them     5.9 ns per event
 *
 * Two guests fill the kernel's buffers as fast as they can; then their pages are worked through again and again, in
 * memory. Reading them from the kernel comes on top. Each row does what the rows above it do. The last one does nothing
 * else but add up records by event and thread, with no check of what it reads: about the least that a program in
 * JavaScript needs for that.
 *
 * Each case runs in a process of its own, as the agent has one kind of sink, too. The cases take turns, because the
 * speed of a machine changes; the results are medians of the turns.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelCounts } from '../../src/count/kernel-counts.js';
import { KnownReasons } from '../../src/count/vcpu/known-reasons.js';
import { PageCursor } from '../../src/decode/ftrace/page-cursor.js';
import { PageIndex } from '../../src/decode/ftrace/page-index.js';
import { RecordDecoder } from '../../src/decode/ftrace/record-decoder.js';
import { CpuMerge } from '../../src/source/tracefs/cpu-merge.js';
import { readFormats } from '../../src/source/tracefs/format-files.js';
import { BufferFile } from '../../src/source/tracefs/trace-reader.js';
import { raiseInliningBudget } from '../../src/system/program/compiler.js';
import { Names } from '../../src/trace/names.js';
import { NoOpSink, type TraceSink, type Vocabulary } from '../../src/trace/sink.js';
import { TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { subBufferBytes } from '../support/guest/ring-buffers.js';
import { startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';
import { EVENTS, makePagesLarge, withInstance } from './tools/other-tools.js';

const FILL_MS = 500;
const WARM_UP_EVENTS = 5_000_000;
const MEASURED_EVENTS = 10_000_000;
/** struct buffer_data_page: time and length, then the records. */
const COMMIT_OFFSET = 8;
const HEADER_BYTES = 16;
/** Words of the longest event here. What has more is a discarded event or a time, see page-index.ts. */
const MAX_WORDS = 28;
const DISCARDED = 29;
const TIME_BYTES = 8;

/** Works through all pages once. Returns the number of their events. */
type Pass = () => number;

/** The pages of one CPU. */
type Pages = readonly Buffer[];

type NewSink = (vocabulary: Vocabulary) => TraceSink;

type Case = (cpus: readonly Pages[]) => Pass;

const CASES: ReadonlyMap<string, Case> = new Map<string, Case>([
  ['find the records', findRecords],
  ['... and decode them', (cpus) => decode(cpus, () => new StoringSink())],
  ['... and count them', (cpus) => decode(cpus, countingSink)],
  ['a loop that only tallies them', tally],
]);

function findRecords(cpus: readonly Pages[]): Pass {
  const index = new PageIndex(newDecoder(() => new NoOpSink()).commonFields);
  const pages = cpus.flat().map((bytes) => ({ bytes, view: viewOf(bytes), timeNs: Number.NaN, end: endOf(bytes) }));
  return () => {
    let events = 0;
    for (const page of pages) {
      index.build(page, HEADER_BYTES, page.end, 0);
      events += index.length;
    }
    return events;
  };
}

/** Merges the pages of the CPUs and decodes them, as the agent does. */
function decode(cpus: readonly Pages[], sink: NewSink): Pass {
  const decoder = newDecoder(sink);
  const merge = new CpuMerge<{ readonly cursor: PageCursor; readonly pages: Pages; next: number }>(decoder.openPages);
  const buffers = cpus.map((pages, cpu) => ({ cursor: new PageCursor(decoder, cpu), pages, next: 0 }));
  const load = (buffer: (typeof buffers)[number]) => {
    while (buffer.cursor.nextTimeNs === Number.POSITIVE_INFINITY && buffer.next < buffer.pages.length)
      buffer.cursor.load(buffer.pages[buffer.next++] as Buffer);
  };
  return () => {
    for (const buffer of buffers) {
      buffer.next = 0;
      load(buffer);
      merge.add(buffer);
    }
    let events = 0;
    for (let first = merge.first; first !== undefined; first = merge.first) {
      events += merge.runFirst(Number.POSITIVE_INFINITY);
      load(first);
      merge.updateFirst();
    }
    return events;
  };
}

function tally(cpus: readonly Pages[]): Pass {
  const threads = new Map<number, Uint32Array>();
  const countsOf = (tid: number): Uint32Array => {
    const counts = threads.get(tid) ?? new Uint32Array(1 << 16);
    threads.set(tid, counts);
    return counts;
  };
  const pages = cpus.flat().map((page) => ({ view: viewOf(page), end: endOf(page) }));
  return () => {
    let events = 0;
    let lastTid = -1;
    let counts = countsOf(lastTid);
    for (const { view, end } of pages)
      for (let at = HEADER_BYTES; at < end; ) {
        const words = view.getUint32(at, true) & 0x1f;
        if (words > MAX_WORDS) {
          at += words === DISCARDED ? 4 + view.getUint32(at + 4, true) : TIME_BYTES;
          continue;
        }
        const event = view.getUint16(at + 4, true);
        const tid = view.getInt32(at + 8, true);
        if (tid !== lastTid) counts = countsOf(tid);
        lastTid = tid;
        counts[event] = (counts[event] as number) + 1;
        at += 4 + words * 4;
        events++;
      }
    return events;
  };
}

const viewOf = ({ buffer, byteOffset, length }: Buffer) => new DataView(buffer, byteOffset, length);

/** Position behind a page's last record. */
const endOf = (page: Buffer) => HEADER_BYTES + page.readUInt32LE(COMMIT_OFFSET);

function newDecoder(sink: NewSink): RecordDecoder {
  const vocabulary: Vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
  return new RecordDecoder({ formats: readFormats(TRACEFS), vocabulary, sink: sink(vocabulary) });
}

/** The agent's own counters, with everything that it counts by default. */
function countingSink({ reasons }: Vocabulary): TraceSink {
  const collectors = { duration: true, causes: true, io: true, eventfd: true, indices: false };
  return new KernelCounts({ collectors, reasons: new KnownReasons(reasons) });
}

/** Stores one argument of each call, so that V8 cannot leave out the calls. */
class StoringSink extends NoOpSink {
  last = 0;
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
}

interface Result {
  readonly events: number;
  readonly nsPerEvent: number;
}

/**
 * @param folder see {@link savePages}
 * @param pageBytes what it returned
 */
function measure(folder: string, pageBytes: number, newPass: Case): Result {
  const cpus = readdirSync(folder).map((file) => split(readFileSync(join(folder, file)), pageBytes));
  const pass = newPass(cpus);
  const events = pass();
  for (let done = 0; done < WARM_UP_EVENTS; done += events) pass();
  const passes = Math.ceil(MEASURED_EVENTS / events);
  const start = process.cpuUsage();
  for (let i = 0; i < passes; i++) pass();
  const { user, system } = process.cpuUsage(start);
  return { events, nsPerEvent: ((user + system) * 1000) / (passes * events) };
}

function split(bytes: Buffer, pageBytes: number): Pages {
  const { length } = bytes;
  return Array.from({ length: length / pageBytes }, (_, page) =>
    bytes.subarray(page * pageBytes, (page + 1) * pageBytes),
  );
}

/** Lets two guests fill the buffers, and saves the pages of each CPU in a file. Returns the bytes of a page. */
async function savePages(folder: string): Promise<number> {
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  await sleep(FILL_MS);
  const pageBytes = await withInstance(EVENTS, async (name, path) => {
    makePagesLarge(path);
    await sleep(FILL_MS);
    writeFileSync(join(path, 'tracing_on'), '0');
    const page = Buffer.alloc(subBufferBytes(name));
    for (const cpu of readdirSync(join(path, 'per_cpu'))) {
      const file = new BufferFile(join(path, 'per_cpu', cpu, 'trace_pipe_raw'));
      while (file.read(page) > 0) appendFileSync(join(folder, cpu), page);
      file.close();
    }
    return page.length;
  });
  for (const guest of guests) await guest.kill();
  return pageBytes;
}

function runTurns(folder: string, pageBytes: number, turns: number): void {
  const results = new Map([...CASES.keys()].map((work): [string, Result[]] => [work, []]));
  for (let turn = 0; turn < turns; turn++)
    for (const [work, all] of results) {
      const args = [import.meta.filename, folder, String(pageBytes), work];
      all.push(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Result);
    }
  const counts = [...results.values()].flat().map(({ events }) => events);
  // Otherwise the rows would not be of the same work.
  assert.deepEqual(new Set(counts), new Set([counts[0]]), 'events found');
  for (const [work, all] of results) {
    const ns = median(all.map(({ nsPerEvent }) => nsPerEvent));
    console.log(`${work.padEnd(31)}${ns.toFixed(1).padStart(6)} ns per event`);
  }
}

const [first = '7', pageBytes, work = ''] = process.argv.slice(2);
const newPass = CASES.get(work);
raiseInliningBudget();
if (newPass !== undefined) console.log(JSON.stringify(measure(first, Number(pageBytes), newPass)));
else {
  const folder = mkdtempSync(join(tmpdir(), 'decode-pages-'));
  try {
    runTurns(folder, await savePages(folder), Number(first));
  } finally {
    rmSync(folder, { recursive: true });
    await endAll();
  }
}
