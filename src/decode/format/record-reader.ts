import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { EventFormat } from './event-format.js';
import { bindField, type RecordField } from './record-field.js';

/** The memory that a record stands in: two views of the same bytes, positions count from their start. */
export interface RecordPage {
  bytes: Uint8Array;
  view: DataView;
  /** Of the record that is read just now. Not handed over call by call: each number that is no small integer would be an object. */
  timeNs: number;
}

export interface RecordReader {
  /** Bytes of payload that {@link read} relies on; who calls it checks. */
  readonly needed: number;
  /** Reads the record with payload `[record, end)`. */
  readonly read: ReadRecord;
}

export type ReadRecord = (page: RecordPage, record: number, end: number, cpu: number, tid: number) => void;

export interface RecordContext {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  readonly bigEndian: boolean;
}

/** Binds a reader to a kernel's format; undefined where that lacks what the reader needs. */
export type ReaderBuilder = (format: EventFormat, context: RecordContext) => RecordReader | undefined;

/** The named fields in their order, undefined where this kernel's record has none of that name. */
export function bindFields(format: EventFormat, bigEndian: boolean, ...names: string[]): (RecordField | undefined)[] {
  return names.map((name) => bindField(format, name, bigEndian));
}
