/**
 * Pages of one CPU's ring buffer, as a read of `per_cpu/cpuN/trace_pipe_raw` delivers them.
 *
 *   c4 6e 5a 4f 9a 02 00 00   u64 time stamp of the page: 2861.2 s
 *   f0 0f 00 00 00 00 00 00   commit: 4080 bytes of data. 32-bit kernels: 4 bytes, and data at 12
 *   08 00 00 00 ...           records, see page-index.ts
 *
 * Specified by include/linux/ring_buffer.h and kernel/trace/ring_buffer.c (6.18); unchanged since 2.6.30 but for:
 * - commit: bit 31 = events were lost before this page, bit 30 = their number stands behind the data (as a long). The
 *   kernel sign-extends the flags into the upper half. A loss without bit 30 is of unknown size.
 * - sub-buffers of more than one page (6.8+).
 * A page that is still being written comes in parts: each is a page with a header and the data so far.
 */
import { UNKNOWN_LOSS } from '../../trace/sink.js';
import type { RecordPage } from '../format/record-reader.js';
import { PageIndex } from './page-index.js';
import type { RecordDecoder } from './record-decoder.js';

const MISSED_EVENTS = 0x80000000;
const MISSED_STORED = 0x40000000;
const COMMIT_MASK = 0x3fffffff;
const TWO_32 = 0x100000000;

/**
 * Delivers the events of one CPU, page by page, up to a given time: so the caller can merge CPUs.
 *
 *     while (cursor.nextTimeNs === Infinity && read(buffer)) cursor.load(buffer);
 *     cursor.run(untilNs);
 */
export class PageCursor {
  readonly cpu: number;
  /** Of the page that is being read. */
  readonly index: PageIndex;
  /** Time of the event that comes next, in the trace clock's own unit; Infinity where the page has no more. */
  nextTimeNs = Number.POSITIVE_INFINITY;
  readonly #decoder: RecordDecoder;
  readonly #littleEndian: boolean;
  readonly #page: RecordPage = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), timeNs: Number.NaN };
  /** Of the record that comes next, in the index. */
  #next = 0;
  /** The page ends before its data does: the last of a recording that was cut. Its whole records are good. */
  #isCut = false;
  /** Events missing before the next one; 0: none. */
  #lost = 0;
  /** What {@link run} was asked for; a field, as a number that is no small integer would be an object on each call. */
  #untilNs = Number.NaN;

  constructor(decoder: RecordDecoder, cpu: number) {
    this.#decoder = decoder;
    this.index = new PageIndex(decoder.commonFields);
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
    if (!this.#open(page)) return this.#decoder.sink.malformed('page');
    if (this.#lost !== 0) this.#decoder.sink.gapAhead(this.cpu);
    if (this.index.length === 0) return this.#finish();
    this.nextTimeNs = this.index.timesNs[0] as number;
    this.#decoder.openPages.open(this.index);
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

  /** False where the header contradicts itself; then nothing of the page is used. */
  #open(page: Uint8Array): boolean {
    const { timestampOffset, commitOffset, commitSize, dataOffset, pageSize } = this.#decoder.pageHeader;
    if (this.#page.bytes.buffer !== page.buffer) {
      this.#page.bytes = new Uint8Array(page.buffer);
      this.#page.view = new DataView(page.buffer);
    }
    const start = page.byteOffset;
    const commit = this.#low(start + commitOffset, commitSize);
    const length = commit & COMMIT_MASK;
    if (length > Math.max(pageSize, page.length) - dataOffset) return false;
    const dataEnd = start + dataOffset + length;
    const pageEnd = start + page.length;
    if ((commit & MISSED_EVENTS) !== 0) {
      const counted = (commit & MISSED_STORED) !== 0 && dataEnd + commitSize <= pageEnd;
      const count = counted ? this.#long(dataEnd, commitSize) : 0;
      this.#lost = count > 0 && count <= Number.MAX_SAFE_INTEGER ? count : UNKNOWN_LOSS;
    }
    this.#isCut = dataEnd > pageEnd;
    const startNs = this.#long(start + timestampOffset, 8);
    this.index.take(this.#page, start + dataOffset, Math.min(dataEnd, pageEnd), startNs);
    // Whatever was lost may have been of any thread.
    if (this.#lost !== 0) this.index.mix();
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
