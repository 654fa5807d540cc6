/**
 * struct perf_event_attr (include/uapi/linux/perf_event.h): what `perf record` asked the kernel to record of one event.
 *
 *   02 00 00 00  80 00 00 00   type 2 (tracepoint), size 128
 *   a0 05 00 00  00 00 00 00   config: ID of the tracepoint
 *   01 00 00 00  00 00 00 00   sample_period, or sample_freq
 *   87 05 01 00  00 00 00 00   sample_type: the fields of its samples
 *   14 00 00 00  00 00 00 00   read_format
 *   01 00 04 00  00 00 00 00   flags: 1 << 10 freq, 1 << 18 sample_id_all
 *
 * Only these fields are used. They are in every version of the struct, which has 64 bytes or more.
 *
 * The fields of a sample stand one after the other, in this order:
 *
 *   IDENTIFIER IP TID TIME ADDR ID STREAM_ID CPU PERIOD    8 bytes each
 *   READ CALLCHAIN                                         of variable length
 *   RAW                                                    u32 size, then the record as in ftrace's ring buffer
 *
 * Any other record ends with those of its fields that TID TIME ID STREAM_ID CPU IDENTIFIER name, if sample_id_all is
 * set.
 */

const TRACEPOINT = 2;
const TWO_32 = 2 ** 32;

const IP = 1 << 0;
const TID = 1 << 1;
const TIME = 1 << 2;
const ADDR = 1 << 3;
const READ = 1 << 4;
const CALLCHAIN = 1 << 5;
const ID = 1 << 6;
const CPU = 1 << 7;
const PERIOD = 1 << 8;
const STREAM_ID = 1 << 9;
const RAW = 1 << 10;
const IDENTIFIER = 1 << 16;

const IN_SAMPLES = [IDENTIFIER, IP, TID, TIME, ADDR, ID, STREAM_ID, CPU, PERIOD];
const IN_OTHER_RECORDS = [TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER];

const READ_TOTAL_TIME_ENABLED = 1 << 0;
const READ_TOTAL_TIME_RUNNING = 1 << 1;
const READ_ID = 1 << 2;
const READ_GROUP = 1 << 3;
const READ_LOST = 1 << 4;

const FREQ = 1 << 10;
const SAMPLE_ID_ALL = 1 << 18;

/** Bytes of the struct that are used. */
export const MIN_ATTR = 48;
const HEADER = 8;
const FIELD = 8;

/** Places in a sample, in bytes from the start of the record; -1 for a field that it does not have. */
export interface SampleLayout {
  readonly id: number;
  readonly tid: number;
  readonly time: number;
  readonly cpu: number;
  /** The first field of variable length, or the raw record. */
  readonly variable: number;
  readonly hasRead: boolean;
  readonly hasCallChain: boolean;
}

/** Places in the fields at the end of other records, in bytes back from its end; 0 for a field that is not there. */
export interface TrailerLayout {
  readonly id: number;
  readonly time: number;
  readonly cpu: number;
  /** Bytes of all fields. */
  readonly size: number;
}

export interface PerfAttr {
  readonly isTracepoint: boolean;
  /** For a tracepoint: common_type of its records. */
  readonly eventId: number;
  /** True if samples of this event hold records that can be decoded. */
  readonly hasRecords: boolean;
  /** True if the kernel recorded some of the events only: at a frequency, or each Nth. */
  readonly isSampled: boolean;
  /** True if the event was only counted, as the member of a group that samples its leader (`{a,b}:S`). */
  readonly isCountedOnly: boolean;
  /** False if the samples have no time. */
  readonly hasTime: boolean;
  readonly sample: SampleLayout;
  readonly trailer: TrailerLayout;
  readonly readFormat: number;
}

/** @param at position of the struct, of which at least {@link MIN_ATTR} bytes are there */
export function parseAttr(view: DataView, at: number): PerfAttr {
  const low = (offset: number): number => view.getUint32(at + offset, true);
  const type = low(0);
  const period = readU64(view, at + 16);
  const sampleType = low(24);
  const flags = low(40);
  const isFrequency = (flags & FREQ) !== 0;
  const isTracepoint = type === TRACEPOINT;
  return {
    isTracepoint,
    eventId: low(8),
    hasRecords: isTracepoint && (sampleType & RAW) !== 0,
    // With the field PERIOD, the kernel records every hit of a tracepoint and puts the number of hits there
    // (perf_swevent_event, kernel/events/core.c).
    isSampled: isTracepoint && (isFrequency || (period > 1 && (sampleType & PERIOD) === 0)),
    isCountedOnly: isTracepoint && period === 0,
    hasTime: (sampleType & TIME) !== 0,
    sample: sampleLayout(sampleType),
    trailer: (flags & SAMPLE_ID_ALL) === 0 ? { id: 0, time: 0, cpu: 0, size: 0 } : trailerLayout(sampleType),
    readFormat: low(32),
  };
}

function sampleLayout(sampleType: number): SampleLayout {
  const fields = IN_SAMPLES.filter((field) => (sampleType & field) !== 0);
  const placeOf = (field: number): number => {
    const index = fields.indexOf(field);
    return index < 0 ? -1 : HEADER + index * FIELD;
  };
  return {
    id: placeOf(IDENTIFIER) < 0 ? placeOf(ID) : placeOf(IDENTIFIER),
    tid: placeOf(TID),
    time: placeOf(TIME),
    cpu: placeOf(CPU),
    variable: HEADER + fields.length * FIELD,
    hasRead: (sampleType & READ) !== 0,
    hasCallChain: (sampleType & CALLCHAIN) !== 0,
  };
}

function trailerLayout(sampleType: number): TrailerLayout {
  const fields = IN_OTHER_RECORDS.filter((field) => (sampleType & field) !== 0);
  const placeOf = (field: number): number => {
    const index = fields.indexOf(field);
    return index < 0 ? 0 : (fields.length - index) * FIELD;
  };
  return {
    id: placeOf(IDENTIFIER) || placeOf(ID),
    time: placeOf(TIME),
    cpu: placeOf(CPU),
    size: fields.length * FIELD,
  };
}

/**
 * Place of a sample's raw record, behind the fields of variable length. Can lie outside of the sample if the sample
 * contradicts itself.
 * @param at position of the sample
 * @param end position behind the sample
 */
export function rawPlace({ sample, readFormat }: PerfAttr, view: DataView, at: number, end: number): number {
  let place = at + sample.variable;
  if (sample.hasRead) place += readSize(view, place, end, readFormat);
  if (sample.hasCallChain) place += place + FIELD > end ? FIELD : FIELD + FIELD * readU64(view, place);
  return place;
}

/** Bytes of the field READ: the values of counters. */
function readSize(view: DataView, at: number, end: number, format: number): number {
  const times = has(format, READ_TOTAL_TIME_ENABLED) + has(format, READ_TOTAL_TIME_RUNNING);
  const values = 1 + has(format, READ_ID) + has(format, READ_LOST);
  if (has(format, READ_GROUP) === 0) return FIELD * (times + values);
  return at + FIELD > end ? FIELD : FIELD * (1 + times + values * readU64(view, at));
}

function has(format: number, bit: number): number {
  return (format & bit) === 0 ? 0 : 1;
}

/** Exact up to 2^53. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}
