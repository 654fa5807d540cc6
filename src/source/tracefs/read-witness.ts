import { closeSync, openSync, readSync } from 'node:fs';
import { UNKNOWN_LOSS } from '../../trace/sink.js';

/** Longer than a `stats` file, which has about 200 bytes. */
const MAX_BYTES = 1024;

/**
 * Compares the number of events that the kernel says were read from a buffer with the number that this program read.
 * They differ only if another program touched the buffer:
 *
 *   kernel's is higher   it read events, which are missing here
 *   kernel's is lower    it emptied the buffer (`echo > trace`) or swapped it for another one (`echo 1 > snapshot`):
 *                        then the kernel counts from 0 again, until the buffer is swapped back
 *
 * A comparison costs one read of an open file per CPU, about a microsecond.
 */
export class ReadWitness {
  /** The files `stats` of the CPUs. */
  readonly #files: readonly number[];
  readonly #text = Buffer.allocUnsafe(MAX_BYTES);
  #expected: number;
  /** The kernel's count before it fell; 0 if it never fell. */
  #beforeFall = 0;

  /** @param folders of the CPUs to compare together. If one has no statistics, no difference is ever found. */
  constructor(folders: readonly string[]) {
    this.#files = folders.map((folder) => tryOpen(`${folder}/stats`));
    this.#expected = this.#kernelCount();
  }

  /**
   * Returns the number of events that other programs read since the last call; {@link UNKNOWN_LOSS} if a buffer was
   * emptied.
   * @param own the number of events that this program read since the last call; NaN if it does not know the number
   */
  compare(own: number): number {
    const count = this.#kernelCount();
    const expected = this.#expected + own;
    this.#expected = count;
    if (count < expected) {
      this.#beforeFall = expected;
      return UNKNOWN_LOSS;
    }
    if (!(count > expected)) return 0;
    const isSwappedBack = expected < this.#beforeFall && count >= this.#beforeFall;
    return isSwappedBack ? UNKNOWN_LOSS : count - expected;
  }

  close(): void {
    for (const file of this.#files) if (file >= 0) closeSync(file);
  }

  /** NaN if it cannot be read. */
  #kernelCount(): number {
    let sum = 0;
    for (const file of this.#files) sum += file >= 0 ? this.#readCount(file) : Number.NaN;
    return sum;
  }

  #readCount(file: number): number {
    try {
      const text = this.#text.toString('latin1', 0, readSync(file, this.#text, 0, MAX_BYTES, 0));
      return Number(/^read events: (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
    } catch {
      return Number.NaN;
    }
  }
}

/** -1 if the file cannot be opened. */
function tryOpen(path: string): number {
  try {
    return openSync(path, 'r');
  } catch {
    return -1;
  }
}
