import assert from 'node:assert/strict';
import { readEventFormats } from '../../../src/decode/format/event-format.js';
import { RecordDecoder } from '../../../src/decode/ftrace/record-decoder.js';
import { CallSink } from './call-sink.js';
import { formatText, headerPageText, type PayloadField, payload } from './page-builder.js';
import { formatTexts } from './recorded-formats.js';
import { newVocabulary } from './vocabulary.js';

export const TID = 42;
export const TIME = 1000;
const CPU = 3;
/** The first arguments of every call for a record: time, CPU and thread. */
export const WHERE = `${TIME} ${CPU} ${TID}`;

/** The calls that a record makes on the sink, without the leading call of tracepoint(). */
export function decodeRecord(format: string, record: Uint8Array, bigEndian = false): string[] {
  const read = readEventFormats(headerPageText(), [format], bigEndian);
  assert.ok('formats' in read);
  assert.deepEqual(read.problems, []);
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new RecordDecoder({ formats: read.formats, vocabulary, sink });
  // The record is in the middle of memory that is not empty.
  const bytes = new Uint8Array(record.length + 64).fill(0xee);
  bytes.set(record, 20);
  const page = { bytes, view: new DataView(bytes.buffer), timeNs: Number.NaN };
  const records = {
    starts: Int32Array.of(20),
    ends: Int32Array.of(20 + record.length),
    timesNs: Float64Array.of(TIME),
  };
  decoder.decode(page, records, 0, 1, CPU);
  const name = /^name: (\S+)/.exec(format)?.[1];
  assert.equal(sink.calls[0], `tracepoint ${WHERE} ${name === 'print' ? 'tracing_mark_write' : name}`);
  return sink.calls.slice(1);
}

/** The calls of a record with these values, from a kernel whose format has these fields. */
export function decodeFields(
  event: string,
  fields: readonly (readonly [declaration: string, offset: number, size: 1 | 2 | 4 | 8, value: number | bigint])[],
  { printFmt = '""', bigEndian = false }: { readonly printFmt?: string; readonly bigEndian?: boolean } = {},
): string[] {
  const format = formatText(
    event,
    9,
    fields.map(([declaration, offset, size]) => [declaration, offset, size]),
    printFmt,
  );
  const values = fields.map(([, offset, size, value]): PayloadField => [offset, size, value]);
  return decodeRecord(format, payload(9, TID, values, { bigEndian }), bigEndian);
}

/** The text of an event's format file, from a recording. */
export const recordedFormat = (event: string, recording = 'svm/two-vms-6.12'): string =>
  formatTexts(recording).get(event) ?? '';
export const idOf = (format: string): number => Number(/^ID: (\d+)/m.exec(format)?.[1]);
