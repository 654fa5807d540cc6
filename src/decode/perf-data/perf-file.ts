/**
 * A perf.data that `perf record` wrote to a file. Written to a pipe (`-o -`), it has a header of 16 bytes, and the rest
 * are records; see record-stream.ts.
 *
 *   50 45 52 46 49 4c 45 32    magic: PERFILE2
 *   68 00 00 00 00 00 00 00    u64 size of this header: 104
 *   90 00 00 00 00 00 00 00    u64 size of an entry of the table of events
 *   c8 00 ...  60 03 ...       table of events: u64 offset, u64 size
 *   28 04 ...  e8 0f 03 ...    data: records, in the same form
 *   00 00 ...  00 00 ...       not used any more
 *   fe ff bf ...               256 bits, one for each feature
 *
 * An entry of the table of events is a struct perf_event_attr, then u64 offset and u64 size of the event's ids. Behind
 * the data stands a table of the features whose bit is set, in the order of the bits, with u64 offset and u64 size of
 * each. perf writes the size of the data and the features when it ends: the size is 0 if perf was killed. Only the
 * feature TRACING_DATA is used, the formats of the tracepoints.
 *
 * Source: tools/perf/Documentation/perf.data-file-format.txt, tools/perf/util/header.c (Linux 6.1).
 */
import { latin1 } from '../../trace/names.js';
import type { FormatProblem } from '../format/event-format.js';
import { MIN_ATTR, readU64 } from './perf-attr.js';
import { PerfAttrs } from './perf-attrs.js';

const MAGIC = 'PERFILE2';
const PIPE_HEADER_SIZE = 16;
export const FILE_HEADER_SIZE = 104;
/** More than the ids of 100 events on a host of 10,000 CPUs. */
const MAX_FRONT_SIZE = 1 << 24;
const SECTION = 16;
const FEATURES_AT = 72;
const FEATURE_BITS = 256;
const TRACING_DATA = 1;

interface Section {
  readonly offset: number;
  readonly size: number;
}

/** The content of the first {@link FILE_HEADER_SIZE} bytes. */
export interface PerfFileHeader {
  readonly attrSize: number;
  readonly attrs: Section;
  readonly data: Section;
  /** Numbers of the features that the file has, ascending. */
  readonly features: readonly number[];
}

export function isPerfData(head: Uint8Array): boolean {
  return latin1(head, 0, Math.min(head.length, MAGIC.length)) === MAGIC;
}

/** True for a perf.data that was written to a pipe. */
export function isPipeForm(head: Uint8Array): boolean {
  return isPerfData(head) && head.length >= PIPE_HEADER_SIZE && readU64(viewOf(head), 8) === PIPE_HEADER_SIZE;
}

export function parseFileHeader(head: Uint8Array): PerfFileHeader | FormatProblem {
  if (head.length < FILE_HEADER_SIZE) return { problem: 'ends inside of its header' };
  const view = viewOf(head);
  const attrSize = readU64(view, 16);
  const attrs = readSection(view, 24);
  const data = readSection(view, 40);
  if (attrSize < MIN_ATTR + SECTION || attrs.size < attrSize || attrs.offset + attrs.size > data.offset)
    return { problem: 'damaged in its header' };
  if (data.offset > MAX_FRONT_SIZE) return { problem: `its data begin at byte ${data.offset}, which cannot be` };
  return { attrSize, attrs, data, features: featuresOf(view) };
}

/** The parts of a perf.data that are known before its first record. */
export interface PerfFile {
  /** Place of the records in the file; the size is Infinity if they last until its end. */
  readonly records: Section;
  readonly attrs: PerfAttrs;
  /** The feature TRACING_DATA; undefined if it is not there. */
  readonly tracingData: Uint8Array | undefined;
  /** True if perf did not end properly, or if the file is cut: what stands behind the records is missing. */
  readonly isCut: boolean;
}

/**
 * @param front the file up to the records
 * @param back the file from the end of the records on, as far as it is there; empty if that place is not known
 */
export function describePerfFile(header: PerfFileHeader, front: Uint8Array, back: Uint8Array): PerfFile {
  const { offset, size } = header.data;
  return {
    records: { offset, size: size === 0 ? Number.POSITIVE_INFINITY : size },
    attrs: parseAttrs(header, front),
    tracingData: tracingDataIn(header, back),
    isCut: back.length === 0,
  };
}

/** A perf.data that was written to a pipe. Its events and formats are records. */
export function describePipe(): PerfFile {
  const records = { offset: PIPE_HEADER_SIZE, size: Number.POSITIVE_INFINITY };
  return { records, attrs: new PerfAttrs(), tracingData: undefined, isCut: false };
}

/** Takes the records from the chunks of a file, one after the other. */
export function recordsOf({ records: { offset, size } }: PerfFile): (chunk: Uint8Array) => Uint8Array {
  let position = 0;
  return (chunk) => {
    const start = position;
    position += chunk.length;
    return chunk.subarray(clamp(offset - start, chunk), clamp(offset + size - start, chunk));
  };
}

function clamp(place: number, { length }: Uint8Array): number {
  return Math.min(Math.max(place, 0), length);
}

function parseAttrs({ attrSize, attrs }: PerfFileHeader, front: Uint8Array): PerfAttrs {
  const view = viewOf(front);
  const found = new PerfAttrs();
  const end = Math.min(attrs.offset + attrs.size, front.length);
  for (let at = attrs.offset; at + attrSize <= end; at += attrSize) {
    const ids = readSection(view, at + attrSize - SECTION);
    found.add(view, at, { from: ids.offset, to: Math.min(ids.offset + ids.size, front.length) });
  }
  return found;
}

function tracingDataIn({ data, features }: PerfFileHeader, back: Uint8Array): Uint8Array | undefined {
  const place = features.indexOf(TRACING_DATA) * SECTION;
  if (place < 0 || place + SECTION > back.length) return undefined;
  const section = readSection(viewOf(back), place);
  const start = section.offset - (data.offset + data.size);
  if (start < 0 || section.size === 0 || start + section.size > back.length) return undefined;
  return back.subarray(start, start + section.size);
}

function featuresOf(view: DataView): number[] {
  const numbers = Array.from({ length: FEATURE_BITS }, (_, bit) => bit);
  return numbers.filter((bit) => (view.getUint8(FEATURES_AT + (bit >> 3)) & (1 << (bit & 7))) !== 0);
}

function readSection(view: DataView, at: number): Section {
  return { offset: readU64(view, at), size: readU64(view, at + 8) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
