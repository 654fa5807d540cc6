import type { RecordPage } from '../format/record-reader.js';
import type { Records } from '../ftrace/page-index.js';

/** Bytes of a block. More than a chunk of a file, and than the longest record (64 KiB). */
export const BLOCK_SIZE = 1 << 18;
/** {@link RecordBlock.cpus} of an entry that is no sample but changes how samples after it are read. */
export const CONTROL = -2;
/** {@link RecordBlock.ends} of the entry that marks where events begin to be missing. */
export const GAP = -1;
const FIRST_ENTRIES = 1 << 10;

/**
 * A piece of a perf.data and an index of the records in it that have to be put in order: samples of tracepoints, and
 * control records (names and ends of threads, lost events).
 */
export class RecordBlock implements Records {
  readonly page: RecordPage;
  /** The number of bytes that are there. */
  filled = 0;
  /** The number of entries. */
  length = 0;
  /** The number of entries that were delivered. */
  delivered = 0;
  /** True while more records may be added. */
  isOpen = true;
  /** Position of a sample's raw record, or of a control record. */
  starts = new Int32Array(FIRST_ENTRIES);
  /** Position behind it. */
  ends = new Int32Array(FIRST_ENTRIES);
  timesNs = new Float64Array(FIRST_ENTRIES);
  /** The sample's CPU, -1 if unknown. */
  cpus = new Int32Array(FIRST_ENTRIES);

  constructor() {
    const bytes = new Uint8Array(BLOCK_SIZE);
    this.page = { bytes, view: new DataView(bytes.buffer), timeNs: Number.NaN };
  }

  /** Makes the block as new. */
  reset(): void {
    this.filled = 0;
    this.length = 0;
    this.delivered = 0;
    this.isOpen = true;
    this.page.timeNs = Number.NaN;
  }

  /** Copies bytes of `chunk` from `at` on, as many as fit. Returns their number. */
  fill(chunk: Uint8Array, at: number): number {
    const taken = Math.min(chunk.length - at, BLOCK_SIZE - this.filled);
    this.page.bytes.set(chunk.subarray(at, at + taken), this.filled);
    this.filled += taken;
    return taken;
  }

  /** Adds an entry. Returns its index. */
  add(start: number, end: number, timeNs: number, cpu: number): number {
    const index = this.length;
    if (index === this.starts.length) this.#grow();
    this.starts[index] = start;
    this.ends[index] = end;
    this.timesNs[index] = timeNs;
    this.cpus[index] = cpu;
    this.length = index + 1;
    return index;
  }

  #grow(): void {
    this.starts = larger(this.starts, Int32Array);
    this.ends = larger(this.ends, Int32Array);
    this.timesNs = larger(this.timesNs, Float64Array);
    this.cpus = larger(this.cpus, Int32Array);
  }
}

function larger<T extends Int32Array | Float64Array>(old: T, Type: new (length: number) => T): T {
  const array = new Type(old.length * 2);
  array.set(old);
  return array;
}
