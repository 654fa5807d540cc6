/**
 * The records of one page: where each is, when it was, and of which threads they are. Made before any of them is delivered, as the order
 * among CPUs depends on it: see open-pages.ts.
 *
 *   04 00 00 00               type_len 4: 16 bytes of payload follow, time_delta 0
 *   2a 00 00 00 94 10 00 00   payload: common_type 42 ... common_pid 4244; what follows depends on the event
 *   02 00 00 00 00 00 00 00
 *   44 84 0d 00               type_len 4, time_delta 27,682 ns
 *   2a 00 ...
 *
 * Specified by include/linux/ring_buffer.h and kernel/trace/ring_buffer.c (6.18); unchanged since 2.6.30 but for type 31.
 * A record's first word has type_len in 5 bits and time_delta in 27; which end they stand at follows the byte order.
 *   0     the next word is the payload's length, itself included
 *   1-28  words of payload
 *   29    padding. delta 0: nothing follows. Else a discarded record; the next word is its length. Its delta counts, unless it is 1:
 *         that is the mark of a record that had none (rb_event_discard, rb_read_data_buffer)
 *   30    time extend, the next word has the delta's upper bits
 *   31    (4.17+) the same for an absolute time, without its top five bits, which are those of the time so far (rb_fix_abs_ts, 5.12+)
 * Times are doubles: exact to 2^53; in clocks beyond (tai) they are rounded to 256 ns, without errors adding up.
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
const NO_PLACES = new Int32Array(0);
/** A word, and one of payload. */
const LEAST_RECORD = 8;
/** More threads than a CPU runs in the time of a page, so that it does not take long. */
const MOST_THREADS = 64;

/** Where the fields are that all records have, from the start of a payload. */
export interface CommonFields {
  readonly littleEndian: boolean;
  /** common_type: two bytes, the event's ID. */
  readonly typeOffset: number;
  /** common_pid: four bytes, the thread's number. */
  readonly pidOffset: number;
  /** ID of the event that says something about other threads than its own; -1: there is none. */
  readonly markerId: number;
}

/** Where records are, by their number on the page. */
export interface Records {
  /** Where the payload of each begins and ends, in the page's memory. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Time of each, in the trace clock's own unit. */
  readonly timesNs: Float64Array;
}

export class PageIndex implements Records {
  /** Records with a payload. The arrays below may be longer. */
  length = 0;
  starts = NO_PLACES;
  ends = NO_PLACES;
  timesNs = NO_TIMES;
  /** The rest of the page makes no sense; what stands before it does. */
  broken = false;
  /** Whose records they are; none where {@link mixed}. */
  readonly tids: number[] = [];
  /** It can't be told apart from other pages: it tells of other threads than those of its records, or of nobody knows whom. */
  mixed = false;
  /** No other page that is open has a thread of its own; undefined where nobody has looked. Kept by {@link OpenPages}. */
  isAlone: boolean | undefined;
  readonly #fields: CommonFields;
  /** Where those end, from the start of a payload. */
  readonly #commonEnd: number;
  #lastTid = -1;
  /** The time so far: a base, and the deltas since. Apart, so that small deltas are not rounded away by a large base. */
  #baseNs = 0;
  #sinceBaseNs = 0;

  constructor(fields: CommonFields) {
    this.#fields = fields;
    this.#commonEnd = Math.max(fields.typeOffset + 2, fields.pidOffset + 4);
  }

  /** Time of its last record. */
  get endNs(): number {
    return this.length > 0 ? (this.timesNs[this.length - 1] as number) : Number.NEGATIVE_INFINITY;
  }

  /** The page is as good as {@link mixed}. */
  mix(): void {
    this.mixed = true;
    this.tids.length = 0;
  }

  /** @param at of the first record in `page`; the last ends at `end`. @param startNs time of the page */
  take({ view }: RecordPage, at: number, end: number, startNs: number): void {
    this.length = 0;
    this.broken = false;
    this.mixed = false;
    this.tids.length = 0;
    this.#lastTid = -1;
    this.#baseNs = startNs;
    this.#sinceBaseNs = 0;
    this.#makeRoom(Math.floor((end - at) / LEAST_RECORD));
    let next = at;
    while (next < end && !this.broken) {
      if (this.#fields.littleEndian) next = this.#takeEvents(view, next, end);
      if (next < end) next = this.#takeOther(view, next, end);
    }
  }

  /** The way of nearly all records: events of 4 to 112 bytes. Returns where another kind of record begins. */
  #takeEvents(view: DataView, first: number, end: number): number {
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
      if (view.getUint16(start + typeOffset, true) === markerId) this.mix();
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

  /** A record of any kind. Returns where the next begins: at least a word further on, so that it ends. */
  #takeOther(view: DataView, at: number, end: number): number {
    const { littleEndian } = this.#fields;
    if (at + 4 > end) return this.#abandon(at);
    const word = view.getUint32(at, littleEndian);
    const typeLen = littleEndian ? word & 0x1f : word >>> 27;
    const delta = littleEndian ? word >>> 5 : word & 0x7ffffff;
    if (typeLen === TYPE_PADDING && delta === 0) return end;
    const small = typeLen > 0 && typeLen <= TYPE_LEN_MAX;
    const headed = small || at + 8 <= end;
    if (!headed) return this.#abandon(at);
    const second = small ? 0 : view.getUint32(at + 4, littleEndian);
    if (typeLen >= TYPE_TIME_EXTEND) {
      this.#setTime(typeLen, second * TWO_27 + delta);
      return at + 8;
    }
    const bytes = small ? typeLen * 4 : second;
    if (bytes < 4 || at + 4 + bytes > end) return this.#abandon(at);
    if (typeLen !== TYPE_PADDING) {
      this.#sinceBaseNs += delta;
      this.#add(view, small ? at + 4 : at + 8, at + 4 + bytes);
    } else if (delta !== DISCARDED_WITHOUT_DELTA) this.#sinceBaseNs += delta;
    return Math.min(at + 4 + Math.ceil(bytes / 4) * 4, end);
  }

  #add(view: DataView, start: number, end: number): void {
    const { littleEndian, typeOffset, pidOffset, markerId } = this.#fields;
    this.timesNs[this.length] = this.#baseNs + this.#sinceBaseNs;
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.length++;
    if (start + this.#commonEnd > end) return;
    if (view.getUint16(start + typeOffset, littleEndian) === markerId) this.mix();
    this.#addThread(view.getInt32(start + pidOffset, littleEndian));
  }

  #addThread(tid: number): void {
    if (this.mixed || this.tids.includes(tid)) return;
    if (this.tids.push(tid) > MOST_THREADS) this.mix();
  }

  #setTime(typeLen: number, time: number): void {
    if (typeLen === TYPE_TIME_EXTEND) {
      this.#sinceBaseNs += time;
      return;
    }
    const soFar = this.#baseNs + this.#sinceBaseNs;
    let absolute = time + Math.floor(soFar / TWO_59) * TWO_59;
    // The kernel asks for `absolute < soFar`. Times above 2^59 are rounded here, so ask for a clear step back.
    if (soFar >= TWO_59 && soFar - absolute > TWO_59 / 2) absolute += TWO_59;
    this.#baseNs = absolute;
    this.#sinceBaseNs = 0;
  }

  #abandon(at: number): number {
    this.broken = true;
    return at;
  }

  /** For the fullest page so far: 32 KiB for one of 16 KiB. */
  #makeRoom(records: number): void {
    if (records <= this.timesNs.length) return;
    const size = 2 ** Math.ceil(Math.log2(records));
    this.timesNs = new Float64Array(size);
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
  }
}
