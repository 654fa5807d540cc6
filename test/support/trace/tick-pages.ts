/**
 * Helpers for pages that hold one invented event, `tick`, of one CPU and thread. For tests of everything around events.
 */
import assert from 'node:assert/strict';
import { readEventFormats } from '../../../src/decode/format/event-format.js';
import { PageCursor } from '../../../src/decode/ftrace/page-cursor.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { CallSink } from './call-sink.js';
import { formatText, headerPageText, type PageShape, payload } from './page-builder.js';
import { newVocabulary } from './vocabulary.js';

export const TICK = 7;
export const CPU = 3;
export const TID = 42;

/** A cursor that knows the event `tick` alone, and the calls that it makes on its sink. */
export function cursorFor(shape: PageShape = {}, nsPerTick = 1): { cursor: PageCursor; calls: string[] } {
  const bigEndian = shape.bigEndian ?? false;
  const read = readEventFormats(headerPageText(shape), [formatText('tick', TICK, [['u32 value', 8, 4]])], bigEndian);
  assert.ok('formats' in read);
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink, nsPerTick });
  return { cursor: new PageCursor(decoder, CPU), calls: sink.calls };
}

/** The payload of a `tick`. */
export function tick(bigEndian = false): Uint8Array {
  return payload(TICK, TID, [[8, 4, 1]], { bigEndian });
}

/** The calls that a page makes on the sink. */
export function decodePage(page: Uint8Array, shape: PageShape = {}): string[] {
  const { cursor, calls } = cursorFor(shape);
  cursor.load(page);
  cursor.run(Number.POSITIVE_INFINITY);
  assert.equal(cursor.nextTimeNs, Number.POSITIVE_INFINITY);
  return calls;
}

/** The call of a `tick` at this time. */
export const at = (time: number | bigint): string => `tracepoint ${time} ${CPU} ${TID} tick`;
