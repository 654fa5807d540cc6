/**
 * Pages of one CPU's ring buffer, as a read of `per_cpu/cpuN/trace_pipe_raw` delivers them.
 *
 *   c4 6e 5a 4f 9a 02 00 00   u64 time stamp of the page: 2861.2 s
 *   f0 0f 00 00 00 00 00 00   commit: 4080 bytes of data. 32-bit kernels: 4 bytes, and data at 12
 *   08 00 00 00               record: type_len 8 (32 bytes of payload), time_delta 0
 *   46 06 05 00 ...           payload, see kvm-record.ts
 *
 * Specified by include/linux/ring_buffer.h and kernel/trace/ring_buffer.c (6.18); unchanged since 2.6.30 but for:
 * - commit: bit 31 = events were lost before this page, bit 30 = their number stands behind the data (as a long). The
 *   kernel sign-extends the flags into the upper half. A loss without bit 30 is of unknown size.
 * - a record's first word has type_len in 5 bits and time_delta in 27; which end they stand at follows the byte order.
 *   type_len 0: the next word is the payload's length, itself included. 1-28: words of payload.
 *   29: padding. delta 0: nothing follows. Else a discarded record; the next word is its length. Its delta counts,
 *       unless it is 1: that is the mark of a record that had none (rb_event_discard, rb_read_data_buffer).
 *   30: time extend, the next word has the delta's upper bits. 31 (4.17+): the same for an absolute time, without its top
 *       five bits, which are those of the time so far (rb_fix_abs_ts, 5.12+).
 * - sub-buffers of more than one page (6.8+).
 * A page that is still being written comes in parts: each is a page with a header and the data so far.
 * Times are doubles: exact to 2^53; in clocks beyond (tai) they are rounded to 256 ns, without errors adding up.
 */
import { UNKNOWN_LOSS } from '../trace-sink.js';
import { PageSurvey } from './page-survey.js';
import type { RecordDecoder } from './record-decoder.js';
import type { RecordPage } from './record-reader.js';

const TYPE_LEN_MAX = 28;
const TYPE_PADDING = 29;
const TYPE_TIME_EXTEND = 30;

const MISSED_EVENTS = 0x80000000;
const MISSED_STORED = 0x40000000;
const COMMIT_MASK = 0x3fffffff;
const TWO_32 = 0x100000000;
/** TS_SHIFT: bits of time in a record's first word. */
const TWO_27 = 0x8000000;
/** An absolute time stamp has 59 bits. */
const TWO_59 = 2 ** 59;
const DISCARDED_WITHOUT_DELTA = 1;

/**
 * Delivers the events of one CPU, page by page, up to a given time: so the caller can merge CPUs.
 *
 *     while (cursor.nextTimeNs === Infinity && read(buffer)) cursor.load(buffer);
 *     cursor.run(untilNs);
 */
export class PageCursor {
  readonly cpu: number;
  /** Of the page that is being read. */
  readonly survey = new PageSurvey();
  /** Time of the event that comes next, in the trace clock's own unit; Infinity where the page has no more. */
  nextTimeNs = Number.POSITIVE_INFINITY;
  readonly #decoder: RecordDecoder;
  readonly #littleEndian: boolean;
  readonly #page: RecordPage = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), timeNs: Number.NaN };
  /** Positions in {@link #page}. Of the record that comes next: its payload's start and end, and what follows it. */
  #record = 0;
  #recordEnd = 0;
  #next = 0;
  #dataEnd = 0;
  /** The page ends before its data does: the last of a recording that was cut. Its whole records are good. */
  #isCut = false;
  /** The time so far: a base, and the deltas since. Apart, so that small deltas are not rounded away by a large base. */
  #baseNs = 0;
  #sinceBaseNs = 0;
  /** Events missing before the next one; 0: none. */
  #lost = 0;
  /** What {@link run} was asked for; a field, as a number that is no small integer would be an object on each call. */
  #untilNs = Number.NaN;

  constructor(decoder: RecordDecoder, cpu: number) {
    this.#decoder = decoder;
    this.#littleEndian = !decoder.bigEndian;
    this.cpu = cpu;
  }

  /**
   * Take a page (sub-buffer) as read. It is not copied: it must stay as it is until {@link nextTimeNs} is Infinity.
   * Events of the page before that were not delivered yet are delivered first.
   */
  load(page: Uint8Array): void {
    if (this.nextTimeNs !== Number.POSITIVE_INFINITY) this.run(Number.POSITIVE_INFINITY);
    // A read of no bytes is not the end of the file.
    if (page.length === 0) return;
    if (page.length < this.#decoder.pageHeader.dataOffset) return this.#decoder.sink.malformed('truncated');
    if (!this.#readHeader(page)) return this.#decoder.sink.malformed('page');
    if (this.#lost !== 0) this.#decoder.sink.gapAhead(this.cpu);
    this.#open();
    this.#advance();
    if (this.nextTimeNs === Number.POSITIVE_INFINITY) this.#reportLoss();
  }

  /** Deliver every event up to and including `untilNs`; returns how many records that were. */
  run(untilNs: number): number {
    this.#untilNs = untilNs;
    return this.#run();
  }

  #run(): number {
    const untilNs = this.#untilNs;
    if (!(this.nextTimeNs <= untilNs) || this.nextTimeNs === Number.POSITIVE_INFINITY) return 0;
    if (this.#lost !== 0) this.#reportLoss();
    const decoder = this.#decoder;
    const page = this.#page;
    const clockNs = decoder.clockNs;
    let records = 0;
    do {
      if (clockNs) page.timeNs = this.nextTimeNs;
      decoder.decode(page, this.#record, this.#recordEnd, this.cpu);
      this.#advance();
      records++;
    } while (this.nextTimeNs <= untilNs && this.nextTimeNs !== Number.POSITIVE_INFINITY);
    return records;
  }

  #open(): void {
    const { commonFields, openPages } = this.#decoder;
    // Whatever was lost may have been of any thread.
    if (this.#lost !== 0) this.survey.giveUp();
    else this.survey.take(this.#page, this.#next, this.#dataEnd, this.#baseNs, commonFields);
    openPages.open(this.survey);
  }

  /** False where the header contradicts itself; then nothing of the page is used. */
  #readHeader(page: Uint8Array): boolean {
    const { timestampOffset, commitOffset, commitSize, dataOffset, pageSize } = this.#decoder.pageHeader;
    if (this.#page.bytes.buffer !== page.buffer) {
      this.#page.bytes = new Uint8Array(page.buffer);
      this.#page.view = new DataView(page.buffer);
    }
    const start = page.byteOffset;
    const commit = this.#low(start + commitOffset, commitSize);
    const length = commit & COMMIT_MASK;
    if (length > Math.max(pageSize, page.length) - dataOffset) return false;
    this.#baseNs = this.#long(start + timestampOffset, 8);
    this.#sinceBaseNs = 0;
    this.#next = start + dataOffset;
    this.#dataEnd = this.#next + length;
    const pageEnd = start + page.length;
    if ((commit & MISSED_EVENTS) !== 0) {
      const counted = (commit & MISSED_STORED) !== 0 && this.#dataEnd + commitSize <= pageEnd;
      const count = counted ? this.#long(this.#dataEnd, commitSize) : 0;
      this.#lost = count > 0 && count <= Number.MAX_SAFE_INTEGER ? count : UNKNOWN_LOSS;
    }
    this.#isCut = this.#dataEnd > pageEnd;
    if (this.#isCut) this.#dataEnd = pageEnd;
    return true;
  }

  /** Go to the next record that has a payload, and set {@link nextTimeNs}. Nearly always that is the very next one. */
  #advance(): void {
    const at = this.#next;
    if (!this.#littleEndian || at + 4 > this.#dataEnd) return this.#advanceSlowly();
    const word = this.#page.view.getUint32(at, true);
    const typeLen = word & 0x1f;
    const end = at + 4 + typeLen * 4;
    if (typeLen === 0 || typeLen > TYPE_LEN_MAX || end > this.#dataEnd) return this.#advanceSlowly();
    this.#record = at + 4;
    this.#recordEnd = end;
    this.#next = end;
    this.#sinceBaseNs += word >>> 5;
    this.nextTimeNs = this.#baseNs + this.#sinceBaseNs;
  }

  /** All record types. Every step goes at least a word forward, so it ends. */
  #advanceSlowly(): void {
    while (this.#next + 4 <= this.#dataEnd) {
      const at = this.#next;
      const word = this.#page.view.getUint32(at, this.#littleEndian);
      const typeLen = this.#littleEndian ? word & 0x1f : word >>> 27;
      const delta = this.#littleEndian ? word >>> 5 : word & 0x7ffffff;
      if (typeLen === TYPE_PADDING && delta === 0) return this.#finish();
      const small = typeLen > 0 && typeLen <= TYPE_LEN_MAX;
      const headed = small || at + 8 <= this.#dataEnd;
      const second = small || !headed ? 0 : this.#page.view.getUint32(at + 4, this.#littleEndian);
      if (typeLen >= TYPE_TIME_EXTEND) {
        if (!headed) return this.#abandon();
        this.#setTime(typeLen, second * TWO_27 + delta);
        this.#next = at + 8;
        continue;
      }
      const length = small ? typeLen * 4 : second;
      if (length < 4 || at + 4 + length > this.#dataEnd) return this.#abandon();
      this.#next = Math.min(at + 4 + Math.ceil(length / 4) * 4, this.#dataEnd);
      if (typeLen === TYPE_PADDING) {
        if (delta !== DISCARDED_WITHOUT_DELTA) this.#sinceBaseNs += delta;
        continue;
      }
      this.#record = small ? at + 4 : at + 8;
      this.#recordEnd = at + 4 + length;
      this.#sinceBaseNs += delta;
      this.nextTimeNs = this.#baseNs + this.#sinceBaseNs;
      return;
    }
    if (this.#next < this.#dataEnd) this.#abandon();
    else this.#finish();
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

  #finish(): void {
    this.#next = this.#dataEnd;
    this.nextTimeNs = Number.POSITIVE_INFINITY;
    this.#decoder.openPages.close(this.survey);
    if (this.#isCut) this.#decoder.sink.malformed('truncated');
  }

  /** The rest of the page makes no sense; what was delivered stands. */
  #abandon(): void {
    if (!this.#isCut) this.#decoder.sink.malformed('page');
    this.#finish();
  }

  #reportLoss(): void {
    if (this.#lost === 0) return;
    this.#decoder.sink.lost(this.cpu, this.#lost);
    this.#lost = 0;
  }

  #low(at: number, size: number): number {
    return this.#page.view.getUint32(this.#littleEndian || size === 4 ? at : at + 4, this.#littleEndian);
  }

  #long(at: number, size: number): number {
    const low = this.#low(at, size);
    if (size === 4) return low;
    return this.#page.view.getUint32(this.#littleEndian ? at + 4 : at, this.#littleEndian) * TWO_32 + low;
  }
}
