import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { EventFormat } from './event-format.js';
import { bindField, type RecordField } from './record-field.js';

/** The memory that holds a record, as two views of the same bytes. Positions count from their start. */
export interface RecordPage {
  bytes: Uint8Array;
  view: DataView;
  /**
   * The time of the record that is being read. A field and not an argument, because a double that is passed to a
   * function that is not inlined is boxed.
   */
  timeNs: number;
}

/** Reads the records of one event of one kernel. */
export interface RecordReader {
  /** The bytes of payload that {@link read} relies on. The caller checks that the record has them. */
  readonly needed: number;
  /** Reads the record with the payload `[record, end)`. */
  readonly read: (page: RecordPage, record: number, end: number, cpu: number, tid: number) => void;
}

/** What a reader is bound to. */
export interface RecordContext {
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  readonly bigEndian: boolean;
}

/** Binds a reader to a kernel's format; undefined if the format lacks a field that the reader needs. */
export type ReaderBuilder = (format: EventFormat, context: RecordContext) => RecordReader | undefined;

/** The named fields in the order of the names; undefined for those that the records of this kernel do not have. */
export function bindFields(format: EventFormat, bigEndian: boolean, ...names: string[]): (RecordField | undefined)[] {
  return names.map((name) => bindField(format, name, bigEndian));
}
