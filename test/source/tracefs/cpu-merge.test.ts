import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { CpuMerge } from '../../../src/source/tracefs/cpu-merge.js';
import { CountingSink } from '../../support/trace/counting-sink.js';
import { PageBuilder, payload } from '../../support/trace/page-builder.js';
import { readFormats } from '../../support/trace/recorded-formats.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

class TimesSink extends CountingSink {
  readonly times: number[] = [];

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    super.tracepoint(timeNs, cpu, tid, name);
    this.times.push(timeNs);
  }
}

/** A merge of CPUs that have one page each, with events at these times. */
function mergeCpus(times: readonly (readonly number[])[]) {
  const vocabulary = newVocabulary();
  const formats = readFormats('exact/e2-mix');
  const sink = new TimesSink(vocabulary);
  const decoder = new RecordDecoder({ formats, vocabulary, sink });
  const merge = new CpuMerge<{ cursor: PageCursor }>(decoder.openPages);
  for (const [cpu, at] of times.entries()) {
    const page = new PageBuilder(BigInt(at[0] ?? 0));
    for (const [index, time] of at.entries())
      page.event(time - (at[index - 1] ?? at[0] ?? 0), payload(42, 1, [[8, 8, 2]]));
    const cursor = new PageCursor(decoder, cpu);
    cursor.load(page.build());
    merge.add({ cursor });
  }
  return { merge, sink };
}

const CASES: readonly { name: string; times: readonly (readonly number[])[] }[] = [
  { name: 'none', times: [] },
  { name: 'one', times: [[5, 6, 7]] },
  {
    name: 'two, alternating',
    times: [
      [1, 3, 5],
      [2, 4, 6],
    ],
  },
  {
    name: 'one after the other',
    times: [
      [10, 11],
      [1, 2],
    ],
  },
  { name: 'equal times', times: [[5, 5, 9], [5, 9], [5]] },
  {
    name: 'many',
    times: Array.from({ length: 37 }, (_, cpu) => [((cpu * 7919) % 101) + 1, 200 + ((cpu * 31) % 37), 300]),
  },
];

for (const { name, times } of CASES) {
  test(`CpuMerge delivers events in order of time: ${name}`, () => {
    const { merge, sink } = mergeCpus(times);
    let events = 0;
    while (merge.first !== undefined) {
      events += merge.runFirst(Number.POSITIVE_INFINITY);
      merge.updateFirst();
    }
    const want = times.flat().sort((a, b) => a - b);
    assert.deepEqual(sink.times, want);
    assert.equal(events, want.length);
  });
}

test('CpuMerge stops at the given time', () => {
  const { merge, sink } = mergeCpus([[1, 5], [2, 9], [3]]);
  for (let ran = 1; ran > 0; merge.updateFirst()) ran = merge.runFirst(5);
  assert.deepEqual(sink.times, [1, 2, 3, 5]);
});
