import { ioKind } from './io-table.js';

/** Newcomers must be this much busier than whom they push out: series should not come and go with every scrape. */
const CLEARLY_BUSIER = 2;

/**
 * Which addresses of a VM get a series of their own. What the others did is summed per kind, and that sum never falls: an address that gets
 * its series starts it at what it does from then on, and one that loses it leaves its count in the sum.
 */
export class Busiest {
  readonly #limit: number;
  /** Key -> what of its count stays in the sum, because it was counted there before it had a series. */
  readonly #base = new Map<number, number>();
  /** All counts at the last look. */
  #seen: ReadonlyMap<number, number> = new Map();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param counts of every key known now
   * @param others by kind: counts of keys not known any more
   * @returns the series, and by kind the sum of all else
   */
  select(
    counts: ReadonlyMap<number, number>,
    others: Float64Array,
  ): { readonly series: Map<number, number>; readonly rest: Float64Array } {
    for (const key of this.#base.keys())
      if ((counts.get(key) ?? 0) < (this.#seen.get(key) ?? 0)) this.#base.delete(key);
    const rise = (key: number) => (counts.get(key) ?? 0) - (this.#seen.get(key) ?? 0);
    const newcomers = [...counts.keys()]
      .filter((key) => !this.#base.has(key) && rise(key) > 0)
      .sort((a, b) => rise(b) - rise(a));
    const quietest = [...this.#base.keys()].sort((a, b) => rise(a) - rise(b));
    for (const key of newcomers) {
      if (this.#base.size >= this.#limit) {
        const out = quietest.shift();
        if (out === undefined || rise(key) < CLEARLY_BUSIER * rise(out) + 1) break;
        this.#base.delete(out);
      }
      this.#base.set(key, this.#seen.get(key) ?? 0);
    }
    this.#seen = new Map(counts);
    return this.#split(counts, others);
  }

  #split(
    counts: ReadonlyMap<number, number>,
    others: Float64Array,
  ): { series: Map<number, number>; rest: Float64Array } {
    const series = new Map<number, number>();
    const rest = others.slice();
    for (const [key, count] of counts) {
      const base = this.#base.get(key);
      const own = base === undefined ? 0 : count - base;
      if (own > 0) series.set(key, own);
      rest[ioKind(key)] = (rest[ioKind(key)] as number) + count - own;
    }
    return { series, rest };
  }
}
