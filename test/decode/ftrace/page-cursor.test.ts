import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEventFormats } from '../../../src/decode/format/event-format.js';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { CallSink } from '../../support/trace/call-sink.js';
import { formatText, headerPageText, PageBuilder } from '../../support/trace/page-builder.js';
import { at, cursorFor, TICK, tick } from '../../support/trace/tick-pages.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

describe('PageCursor', () => {
  const page = (): Uint8Array => new PageBuilder(10n).event(0, tick()).event(10, tick()).event(10, tick()).build();

  it('delivers the events up to and including the given time', () => {
    const { cursor, calls } = cursorFor();
    assert.equal(cursor.nextTimeNs, Number.POSITIVE_INFINITY);
    cursor.load(page());
    assert.equal(cursor.nextTimeNs, 10);
    assert.equal(cursor.run(9), 0);
    assert.equal(cursor.run(20), 2);
    assert.equal(cursor.nextTimeNs, 30);
    assert.equal(cursor.run(Number.POSITIVE_INFINITY), 1);
    assert.equal(cursor.run(Number.POSITIVE_INFINITY), 0);
    assert.equal(calls.length, 3);
  });

  it('delivers the rest of a page before it loads another one', () => {
    const { cursor, calls } = cursorFor();
    cursor.load(page());
    cursor.load(new PageBuilder(100n).event(0, tick()).build());
    cursor.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(calls, [at(10), at(20), at(30), at(100)]);
  });

  it('reads pages at any place in memory', () => {
    for (const offset of [1, 4096, 4099]) {
      const { cursor, calls } = cursorFor();
      const memory = new Uint8Array(3 * 4096).fill(0xff);
      memory.set(page(), offset);
      cursor.load(memory.subarray(offset, offset + 4096));
      cursor.run(Number.POSITIVE_INFINITY);
      assert.deepEqual(calls, [at(10), at(20), at(30)]);
    }
  });

  it('orders events by a clock that does not count time, but reports no times', () => {
    const { cursor, calls } = cursorFor({}, Number.NaN);
    cursor.load(page());
    assert.equal(cursor.run(20), 2);
    assert.equal(cursor.nextTimeNs, 30);
    assert.deepEqual(calls, [at(Number.NaN), at(Number.NaN)]);
  });

  it('lets a caller merge CPUs by time', () => {
    const read = readEventFormats(headerPageText(), [formatText('tick', TICK, [])]);
    assert.ok('formats' in read);
    const vocabulary = newVocabulary();
    const sink = new CallSink(vocabulary);
    const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink });
    const [left, right] = [new PageCursor(decoder, 0), new PageCursor(decoder, 1)];
    left.load(new PageBuilder(1n).event(0, tick()).event(4, tick()).event(1, tick()).build());
    right.load(new PageBuilder(3n).event(0, tick()).event(4, tick()).build());
    while (Math.min(left.nextTimeNs, right.nextTimeNs) < Number.POSITIVE_INFINITY) {
      if (left.nextTimeNs <= right.nextTimeNs) left.run(right.nextTimeNs);
      else right.run(left.nextTimeNs);
    }
    const order = sink.calls.map((call) => call.split(' ').slice(1, 3).join('@'));
    assert.deepEqual(order, ['1@0', '3@1', '5@0', '6@0', '7@1']);
  });
});
