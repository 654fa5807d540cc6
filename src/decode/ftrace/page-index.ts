/**
 * The index of one page: the place, time and thread of each record. It is built before any record is delivered, because
 * the order among CPUs depends on it; see open-pages.ts.
 *
 *   04 00 00 00               type_len 4: 16 bytes of payload follow, time_delta 0
 *   2a 00 00 00 94 10 00 00   payload: common_type 42 ... common_pid 4244; what follows depends on the event
 *   02 00 00 00 00 00 00 00
 *   44 84 0d 00               type_len 4, time_delta 27,682 ns
 *   2a 00 ...
 *
 * Source: include/linux/ring_buffer.h and kernel/trace/ring_buffer.c (Linux 6.18), unchanged since 2.6.30 except for
 * type 31. A record's first word holds type_len in 5 bits and time_delta in 27. type_len is in the low bits on
 * little-endian machines and in the high bits on big-endian ones. Its values:
 *
 *   0      the next word is the payload's length, itself included
 *   1-28   the payload's length in words
 *   29     padding. Nothing follows if the delta is 0. Otherwise a discarded record: the next word is its length. Its
 *          delta counts unless it is 1, which marks a record without a delta (rb_event_discard, rb_read_data_buffer)
 *   30     time extend: the next word holds the delta's upper bits
 *   31     absolute time (4.17+), in the form of 30. Its top five bits are missing and taken from the time so far
 *          (rb_fix_abs_ts, 5.12+)
 *
 * Times are doubles and exact to 2^53. Later times, as of the clock `tai`, are rounded to 256 ns; errors do not add up.
 */
import type { RecordPage } from '../format/record-reader.js';

const TYPE_LEN_MAX = 28;
const TYPE_PADDING = 29;
const TYPE_TIME_EXTEND = 30;
/** TS_SHIFT: bits of time in a record's first word. */
const TWO_27 = 0x8000000;
/** An absolute time stamp has 59 bits. */
const TWO_59 = 2 ** 59;
const DISCARDED_WITHOUT_DELTA = 1;

const NO_TIMES = new Float64Array(0);
const NO_POSITIONS = new Int32Array(0);
/** Bytes of the shortest record: the first word and one word of payload. */
const MIN_RECORD = 8;
/** More threads than a CPU runs in the time of a page. Limits the time to search the list of threads. */
const MAX_THREADS = 64;

/** The fields that all records have. Offsets are in bytes from the start of a payload. */
export interface CommonFields {
  readonly littleEndian: boolean;
  /** common_type, two bytes: the event's ID. */
  readonly typeOffset: number;
  /** common_pid, four bytes: the thread id. */
  readonly pidOffset: number;
  /** ID of the event `print`, which can concern other threads than its own; -1 if there is none. */
  readonly markerId: number;
}

/** The records of a page, in their order. */
export interface Records {
  /** Position of the first byte of each payload, in the page's memory. */
  readonly starts: Int32Array;
  /** Position behind the last byte of each payload. */
  readonly ends: Int32Array;
  /** Time of each record, in the trace clock's own unit. */
  readonly timesNs: Float64Array;
}

export class PageIndex implements Records {
  /** The number of records with a payload. The arrays below can be longer. */
  length = 0;
  starts = NO_POSITIONS;
  ends = NO_POSITIONS;
  timesNs = NO_TIMES;
  /** True if the page contradicts itself. The records before that point are good. */
  broken = false;
  /** The threads of the records; empty if {@link anyThread}. */
  readonly tids: number[] = [];
  /**
   * True if the page may concern threads outside {@link tids}: it holds a marker, or events were lost before it, or it
   * has more than {@link MAX_THREADS} threads. The events of such a page are merged with those of other pages one by
   * one.
   */
  anyThread = false;
  /** True if no other open page has a thread of this page; undefined if not known. Maintained by {@link OpenPages}. */
  isIndependent: boolean | undefined;
  readonly #fields: CommonFields;
  /** End of the common fields, in bytes from the start of a payload. */
  readonly #commonEnd: number;
  #lastTid = -1;
  /**
   * The time so far is the sum of a base and the deltas since. Separate, so that a large base does not round small
   * deltas.
   */
  #baseNs = 0;
  #sinceBaseNs = 0;

  constructor(fields: CommonFields) {
    this.#fields = fields;
    this.#commonEnd = Math.max(fields.typeOffset + 2, fields.pidOffset + 4);
  }

  /** Time of the last record; -Infinity if there is none. */
  get endNs(): number {
    return this.length > 0 ? (this.timesNs[this.length - 1] as number) : Number.NEGATIVE_INFINITY;
  }

  setAnyThread(): void {
    this.anyThread = true;
    this.tids.length = 0;
  }

  /**
   * Builds the index of the records in `[at, end)`.
   * @param startNs time of the page
   */
  build({ view }: RecordPage, at: number, end: number, startNs: number): void {
    this.length = 0;
    this.broken = false;
    this.anyThread = false;
    this.tids.length = 0;
    this.#lastTid = -1;
    this.#baseNs = startNs;
    this.#sinceBaseNs = 0;
    this.#makeRoom(Math.floor((end - at) / MIN_RECORD));
    let next = at;
    while (next < end && !this.broken) {
      if (this.#fields.littleEndian) next = this.#addSmallEvents(view, next, end);
      if (next < end) next = this.#addRecord(view, next, end);
    }
  }

  /**
   * Adds nearly all records: events with a payload of 4 to 112 bytes. Returns the position of the first record of
   * another kind.
   */
  #addSmallEvents(view: DataView, first: number, end: number): number {
    const { timesNs, starts, ends } = this;
    const { typeOffset, pidOffset, markerId } = this.#fields;
    const commonEnd = this.#commonEnd;
    const baseNs = this.#baseNs;
    let sinceBaseNs = this.#sinceBaseNs;
    let length = this.length;
    let lastTid = this.#lastTid;
    let at = first;
    while (at + 4 + commonEnd <= end) {
      const word = view.getUint32(at, true);
      const typeLen = word & 0x1f;
      const start = at + 4;
      const next = start + typeLen * 4;
      if (typeLen === 0 || typeLen > TYPE_LEN_MAX || next > end) break;
      sinceBaseNs += word >>> 5;
      timesNs[length] = baseNs + sinceBaseNs;
      starts[length] = start;
      ends[length] = next;
      length++;
      at = next;
      if (view.getUint16(start + typeOffset, true) === markerId) this.setAnyThread();
      const tid = view.getInt32(start + pidOffset, true);
      if (tid === lastTid) continue;
      lastTid = tid;
      this.#addThread(tid);
    }
    this.#sinceBaseNs = sinceBaseNs;
    this.length = length;
    this.#lastTid = lastTid;
    return at;
  }

  /** Adds one record of any kind. Returns the position of the next record, or `at` itself if the page is broken. */
  #addRecord(view: DataView, at: number, end: number): number {
    const { littleEndian } = this.#fields;
    if (at + 4 > end) return this.#setBroken(at);
    const word = view.getUint32(at, littleEndian);
    const typeLen = littleEndian ? word & 0x1f : word >>> 27;
    const delta = littleEndian ? word >>> 5 : word & 0x7ffffff;
    if (typeLen === TYPE_PADDING && delta === 0) return end;
    const small = typeLen > 0 && typeLen <= TYPE_LEN_MAX;
    const headed = small || at + 8 <= end;
    if (!headed) return this.#setBroken(at);
    const second = small ? 0 : view.getUint32(at + 4, littleEndian);
    if (typeLen >= TYPE_TIME_EXTEND) {
      this.#setTime(typeLen, second * TWO_27 + delta);
      return at + 8;
    }
    const bytes = small ? typeLen * 4 : second;
    if (bytes < 4 || at + 4 + bytes > end) return this.#setBroken(at);
    if (typeLen !== TYPE_PADDING) {
      this.#sinceBaseNs += delta;
      this.#addEvent(view, small ? at + 4 : at + 8, at + 4 + bytes);
    } else if (delta !== DISCARDED_WITHOUT_DELTA) this.#sinceBaseNs += delta;
    return Math.min(at + 4 + Math.ceil(bytes / 4) * 4, end);
  }

  #addEvent(view: DataView, start: number, end: number): void {
    const { littleEndian, typeOffset, pidOffset, markerId } = this.#fields;
    this.timesNs[this.length] = this.#baseNs + this.#sinceBaseNs;
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.length++;
    if (start + this.#commonEnd > end) return;
    if (view.getUint16(start + typeOffset, littleEndian) === markerId) this.setAnyThread();
    this.#addThread(view.getInt32(start + pidOffset, littleEndian));
  }

  #addThread(tid: number): void {
    if (this.anyThread || this.tids.includes(tid)) return;
    if (this.tids.push(tid) > MAX_THREADS) this.setAnyThread();
  }

  #setTime(typeLen: number, time: number): void {
    if (typeLen === TYPE_TIME_EXTEND) {
      this.#sinceBaseNs += time;
      return;
    }
    const soFar = this.#baseNs + this.#sinceBaseNs;
    let absolute = time + Math.floor(soFar / TWO_59) * TWO_59;
    // The kernel tests `absolute < soFar`. Times above 2^59 are rounded here, so this tests for a clear step back.
    if (soFar >= TWO_59 && soFar - absolute > TWO_59 / 2) absolute += TWO_59;
    this.#baseNs = absolute;
    this.#sinceBaseNs = 0;
  }

  #setBroken(at: number): number {
    this.broken = true;
    return at;
  }

  /** Grows the arrays to the fullest page so far. A page of 16 KiB takes 32 KiB. */
  #makeRoom(records: number): void {
    if (records <= this.timesNs.length) return;
    const size = 2 ** Math.ceil(Math.log2(records));
    this.timesNs = new Float64Array(size);
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
  }
}
