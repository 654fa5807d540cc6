/**
 * Pages of one CPU's ring buffer, as a read of `per_cpu/cpuN/trace_pipe_raw` returns them.
 *
 *   c4 6e 5a 4f 9a 02 00 00   u64 time stamp of the page: 2861.2 s
 *   f0 0f 00 00 00 00 00 00   commit: 4080 bytes of data. 32-bit kernels: 4 bytes, and data at 12
 *   08 00 00 00 ...           records, see page-index.ts
 *
 * Source: include/linux/ring_buffer.h and kernel/trace/ring_buffer.c (Linux 6.18), unchanged since 2.6.30 except for:
 * - Bit 31 of commit means that events were lost before this page, bit 30 that their number stands behind the data, as
 *   a long. The kernel sign-extends the flags into the upper half. Without bit 30 the number is unknown.
 * - Since 6.8 a sub-buffer can have more than one page.
 *
 * A page that is still being written is returned in parts. Each part is a page with a header and the data written so
 * far.
 */
import { reportLoss } from '../../trace/report-loss.js';
import { UNKNOWN_LOSS } from '../../trace/sink.js';
import type { RecordPage } from '../format/record-reader.js';
import { PageIndex } from './page-index.js';
import type { RecordDecoder } from './record-decoder.js';

const MISSED_EVENTS = 0x80000000;
const MISSED_STORED = 0x40000000;
const COMMIT_MASK = 0x3fffffff;
const TWO_32 = 0x100000000;

/**
 * Delivers the events of one CPU, page by page, up to a given time, so that the caller can merge CPUs.
 *
 *     while (cursor.nextTimeNs === Infinity && read(buffer)) cursor.load(buffer);
 *     cursor.run(untilNs);
 */
export class PageCursor {
  readonly cpu: number;
  /** The records of the current page. */
  readonly index: PageIndex;
  /** Time of the next event, in the trace clock's own unit; Infinity if the page has no more events. */
  nextTimeNs = Number.POSITIVE_INFINITY;
  /** The number of events on the page that was loaded last; NaN if the page contradicts itself or is cut. */
  pageEvents = 0;
  readonly #decoder: RecordDecoder;
  readonly #littleEndian: boolean;
  readonly #page: RecordPage = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), timeNs: Number.NaN };
  /** The next record's place in {@link index}. */
  #next = 0;
  /** True if the page ends before its data, as the last page of a cut recording does. Its complete records are good. */
  #isCut = false;
  /** The number of events lost before the next one, {@link UNKNOWN_LOSS} if unknown. */
  #lost = 0;
  /** The argument of {@link run}. A field, because a double passed on to {@link #run} would be boxed. */
  #untilNs = Number.NaN;

  constructor(decoder: RecordDecoder, cpu: number) {
    this.#decoder = decoder;
    this.index = new PageIndex(decoder.commonFields);
    this.#littleEndian = !decoder.bigEndian;
    this.cpu = cpu;
  }

  /**
   * Makes `page` (a sub-buffer) the current page. Events of the page before it are delivered first. The bytes are not
   * copied and must not change until {@link nextTimeNs} is Infinity.
   * @param isCut true if the file ends inside the page, even if all of its events are there
   */
  load(page: Uint8Array, isCut = false): void {
    if (this.nextTimeNs !== Number.POSITIVE_INFINITY) this.run(Number.POSITIVE_INFINITY);
    // A read of 0 bytes is not the end of the file.
    if (page.length === 0) return;
    const gapIsOpen = this.#lost !== 0;
    this.pageEvents = Number.NaN;
    if (page.length < this.#decoder.pageHeader.dataOffset) return this.#decoder.sink.malformed('truncated');
    if (!this.#readHeader(page, isCut)) return this.#decoder.sink.malformed('page');
    if (!this.#isCut && !this.index.broken) this.pageEvents = this.index.length;
    if (this.#lost !== 0 && !gapIsOpen) this.#decoder.sink.gapAhead(this.cpu);
    if (this.index.length === 0) return this.#finish();
    this.nextTimeNs = this.index.timesNs[0] as number;
    this.#decoder.openPages.open(this.index);
  }

  /** Pages that precede the next one are damaged: an unknown number of events is lost. */
  missPages(): void {
    if (this.nextTimeNs !== Number.POSITIVE_INFINITY) this.run(Number.POSITIVE_INFINITY);
    if (this.#lost === 0) this.#decoder.sink.gapAhead(this.cpu);
    this.#lost = UNKNOWN_LOSS;
  }

  /** Reports what {@link missPages} noted, if no page follows. */
  endPages(): void {
    if (this.nextTimeNs === Number.POSITIVE_INFINITY) this.#reportLoss();
  }

  /** Delivers all events up to and including `untilNs`. Returns the number of records. */
  run(untilNs: number): number {
    this.#untilNs = untilNs;
    return this.#run();
  }

  #run(): number {
    const untilNs = this.#untilNs;
    if (!(this.nextTimeNs <= untilNs) || this.nextTimeNs === Number.POSITIVE_INFINITY) return 0;
    if (this.#lost !== 0) this.#reportLoss();
    const { timesNs, length } = this.index;
    const first = this.#next;
    let last = first + 1;
    while (last < length && (timesNs[last] as number) <= untilNs) last++;
    this.#decoder.decode(this.#page, this.index, first, last, this.cpu);
    this.#next = last;
    if (last < length) this.nextTimeNs = timesNs[last] as number;
    else this.#finish();
    return last - first;
  }

  /** Reads the header of a page. False if it contradicts itself; then no record of the page is used. */
  #readHeader(page: Uint8Array, isCut: boolean): boolean {
    const { timestampOffset, commitOffset, commitSize, dataOffset, pageSize } = this.#decoder.pageHeader;
    if (this.#page.bytes.buffer !== page.buffer) {
      this.#page.bytes = new Uint8Array(page.buffer);
      this.#page.view = new DataView(page.buffer);
    }
    const start = page.byteOffset;
    const commit = this.#readLow(start + commitOffset, commitSize);
    const length = commit & COMMIT_MASK;
    if (length > Math.max(pageSize, page.length) - dataOffset) return false;
    const dataEnd = start + dataOffset + length;
    const pageEnd = start + page.length;
    if ((commit & MISSED_EVENTS) !== 0) {
      const counted = (commit & MISSED_STORED) !== 0 && dataEnd + commitSize <= pageEnd;
      const count = counted ? this.#readLong(dataEnd, commitSize) : 0;
      this.#lost = count > 0 ? count : UNKNOWN_LOSS;
    }
    this.#isCut = isCut || dataEnd > pageEnd;
    const startNs = this.#readLong(start + timestampOffset, 8);
    this.index.build(this.#page, start + dataOffset, Math.min(dataEnd, pageEnd), startNs);
    // The lost events may have concerned any thread.
    if (this.#lost !== 0) this.index.setAnyThread();
    this.#next = 0;
    return true;
  }

  #finish(): void {
    this.nextTimeNs = Number.POSITIVE_INFINITY;
    this.#reportLoss();
    this.#decoder.openPages.close(this.index);
    if (this.#isCut) this.#decoder.sink.malformed('truncated');
    else if (this.index.broken) this.#decoder.sink.malformed('page');
  }

  #reportLoss(): void {
    if (this.#lost === 0) return;
    reportLoss(this.#decoder.sink, this.cpu, this.#lost, 'page');
    this.#lost = 0;
  }

  /** The low 32 bits of a long. */
  #readLow(at: number, size: number): number {
    return this.#page.view.getUint32(this.#littleEndian || size === 4 ? at : at + 4, this.#littleEndian);
  }

  #readLong(at: number, size: number): number {
    const low = this.#readLow(at, size);
    if (size === 4) return low;
    return this.#page.view.getUint32(this.#littleEndian ? at + 4 : at, this.#littleEndian) * TWO_32 + low;
  }
}
