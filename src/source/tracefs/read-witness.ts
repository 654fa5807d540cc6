import { UNKNOWN_LOSS } from '../../trace/sink.js';
import type { CpuStats } from './cpu-stats.js';

/**
 * Compares the number of events that the kernel says were read from a buffer with the number that this program read.
 * They differ only if another program touched the buffer:
 *
 *   kernel's is higher   it read events, which are missing here
 *   kernel's is lower    it emptied the buffer (`echo > trace`) or swapped it for another one (`echo 1 > snapshot`):
 *                        then the kernel counts from 0 again, until the buffer is swapped back
 */
export class ReadWitness {
  readonly #stats: readonly CpuStats[];
  #expected: number;
  /** The kernel's count before it fell; 0 if it never fell. */
  #beforeFall = 0;

  /** @param stats those of the CPUs to compare together. If one cannot be read, no difference is ever found. */
  constructor(stats: readonly CpuStats[]) {
    this.#stats = stats;
    this.#expected = this.#kernelCount();
  }

  /**
   * Reads the statistics. Returns the number of events that other programs read since the last call;
   * {@link UNKNOWN_LOSS} if a buffer was emptied.
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

  /** NaN if it cannot be read. */
  #kernelCount(): number {
    let sum = 0;
    for (const stats of this.#stats) {
      stats.read();
      sum += stats.taken;
    }
    return sum;
  }
}
