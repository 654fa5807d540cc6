import type { Weights } from './sampled-exits.js';

const NONE: Weights = { perSeen: 0, perKnown: 0 };

/** Makes what windows show of some events add up to their number, which is known exactly. */
export class ExactTotal {
  #known = 0;
  /** Events of periods before the first window that saw any. */
  #waiting = 0;

  /**
   * The weights of a period.
   * @param total events in the period
   * @param seen those in its window
   */
  weights(total: number, seen: number): Weights {
    const all = total + this.#waiting;
    this.#known += seen;
    this.#waiting = this.#known > 0 ? 0 : all;
    if (seen > 0) return { perSeen: Math.max(1, all / seen), perKnown: 0 };
    return this.#known > 0 ? { perSeen: 0, perKnown: all / this.#known } : NONE;
  }
}
