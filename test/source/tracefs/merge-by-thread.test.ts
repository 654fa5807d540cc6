/**
 * Threads that move between CPUs: the events of each thread are delivered in the order in which they happened, however
 * they are spread over pages. The order between different threads may differ.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { CpuMerge } from '../../../src/source/tracefs/cpu-merge.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { PageBuilder, payload } from '../../support/trace/page-builder.js';
import { readFormats } from '../../support/trace/recorded-formats.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

/** An event, `afterNs` after the previous one on any CPU. */
interface Event {
  readonly afterNs: number;
  readonly tid: number;
  readonly cpu: number;
}

interface Delivered {
  readonly timeNs: number;
  readonly tid: number;
}

class RecordingSink extends CountingSink {
  readonly delivered: Delivered[] = [];
  readonly gaps: number[] = [];

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    super.tracepoint(timeNs, cpu, tid, name);
    this.delivered.push({ timeNs, tid });
  }

  override lost(): void {
    this.gaps.push(this.delivered.length);
  }
}

const formats = readFormats('exact/e2-mix');
const idOf = (event: string) => formats.events.find(({ name }) => name === event)?.id ?? 0;
const EXIT = idOf('kvm_userspace_exit');
const MARKER = idOf('print');
const START_NS = 1000;

interface Shape {
  /** Events per page. */
  readonly perPage: number;
  readonly eventId?: number;
  /** Index of the page of CPU 0 before which events were lost. */
  readonly lossBefore?: number;
}

/** Writes the events to pages and merges these. Returns the events as delivered and as they happened. */
function readMerged(events: readonly Event[], { perPage, eventId = EXIT, lossBefore }: Shape) {
  const vocabulary = newVocabulary();
  const sink = new RecordingSink(vocabulary);
  const decoder = new RecordDecoder({ formats, vocabulary, sink });
  const merge = new CpuMerge<{ cursor: PageCursor }>(decoder.openPages);
  const happened: (Delivered & { cpu: number })[] = [];
  let nowNs = START_NS;
  for (const { afterNs, tid, cpu } of events) {
    nowNs += afterNs;
    happened.push({ timeNs: nowNs, tid, cpu });
  }
  const pages = new Map<number, Uint8Array[]>();
  for (const cpu of new Set(events.map((event) => event.cpu))) {
    const own = happened.filter((event) => event.cpu === cpu);
    const built: Uint8Array[] = [];
    for (let at = 0; at < own.length; at += perPage) {
      let lastNs = own[at]?.timeNs ?? 0;
      const page = new PageBuilder(BigInt(lastNs));
      for (const { timeNs, tid } of own.slice(at, at + perPage)) {
        if (timeNs - lastNs < 1 << 27) page.event(timeNs - lastNs, payload(eventId, tid, [[8, 8, 2]]));
        else page.timeExtend(BigInt(timeNs - lastNs)).event(0, payload(eventId, tid, [[8, 8, 2]]));
        lastNs = timeNs;
      }
      built.push(page.build(cpu === 0 && built.length === lossBefore ? { missed: 3 } : {}));
    }
    pages.set(cpu, built);
  }
  const load = (cursor: PageCursor) => {
    const page = pages.get(cursor.cpu)?.shift();
    if (page !== undefined) cursor.load(page);
    return page !== undefined;
  };
  for (const cpu of pages.keys()) {
    const cursor = new PageCursor(decoder, cpu);
    if (load(cursor)) merge.add({ cursor });
  }
  let runs = 0;
  for (let first = merge.first; first !== undefined; first = merge.first) {
    runs++;
    merge.runFirst(Number.POSITIVE_INFINITY);
    if (first.cursor.nextTimeNs === Number.POSITIVE_INFINITY) load(first.cursor);
    merge.updateFirst();
  }
  return { delivered: sink.delivered, gaps: sink.gaps, happened, runs };
}

/** Threads that stay on a CPU for some events and may then move to another. */
const LOADS = fc
  .array(
    fc.record({
      tid: fc.integer({ min: 1, max: 6 }),
      cpu: fc.integer({ min: 0, max: 4 }),
      times: fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(2 ** 28)), { minLength: 1, maxLength: 8 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((stays) => stays.flatMap(({ tid, cpu, times }) => times.map((afterNs) => ({ afterNs, tid, cpu }))));

test('threads that move between CPUs: all events are delivered, those of each thread in order', () => {
  fc.assert(
    fc.property(LOADS, fc.integer({ min: 1, max: 30 }), (events, perPage) => {
      const { delivered, happened } = readMerged(events, { perPage });
      assert.equal(delivered.length, happened.length);
      for (const tid of new Set(events.map((event) => event.tid)))
        assert.deepEqual(
          delivered.filter((event) => event.tid === tid).map(({ timeNs }) => timeNs),
          happened.filter((event) => event.tid === tid).map(({ timeNs }) => timeNs),
        );
    }),
    { numRuns: 2000 },
  );
});

test('a marker concerns other threads too: if pages hold markers, all events are delivered in order', () => {
  fc.assert(
    fc.property(LOADS, fc.integer({ min: 1, max: 30 }), (events, perPage) => {
      const { delivered, happened } = readMerged(events, { perPage, eventId: MARKER });
      assert.deepEqual(
        delivered.map(({ timeNs }) => timeNs),
        happened.map(({ timeNs }) => timeNs),
      );
    }),
    { numRuns: 300 },
  );
});

const inTurns = (events: number): Event[] =>
  Array.from({ length: events }, (_, n) => ({ afterNs: 10, tid: 1 + (n % 2), cpu: n % 2 }));

test('threads that stay on their CPUs are delivered page by page, without merging', () => {
  const { runs } = readMerged(inTurns(400), { perPage: 50 });
  assert.ok(runs <= 20, `${runs} runs for 8 pages`);
});

test('a loss is reported before later events of any CPU', () => {
  const { delivered, gaps } = readMerged(inTurns(400), { perPage: 50, lossBefore: 2 });
  const [gap = Number.NaN] = gaps;
  // The third page of CPU 0 begins with its event 100, which is event 200 of all.
  const lossNs = delivered[gap]?.timeNs ?? Number.NaN;
  assert.equal(lossNs, START_NS + 10 + 200 * 10);
  assert.ok(delivered.slice(0, gap).every(({ timeNs }) => timeNs <= lossNs));
  assert.ok(delivered.slice(gap).every(({ timeNs }) => timeNs >= lossNs));
});
