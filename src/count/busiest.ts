import { ioKind } from './vcpu/io-table.js';

/** Newcomers must be this much busier than whom they push out: series should not come and go with every scrape. */
const CLEARLY_BUSIER = 2;
/** And have this share of all that happened since the last look: a spray of single accesses has no busiest. */
const WORTH_A_SERIES = 0.01;

/**
 * Which addresses of a VM get a series of their own. What the others did is summed per kind.
 *
 * No access is told twice, and no figure falls: an address that gets its series starts it at what it does from then on, as what it did before
 * was told in the sum; one that loses its series takes what that told with it, so that the sum does not jump.
 */
export class Busiest {
  readonly #limit: number;
  /** Key -> what of its count was told in the sum, before it had a series. */
  readonly #base = new Map<number, number>();
  /** By kind: what was told by series that are gone. */
  readonly #gone = new Float64Array(8);
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
    for (const key of this.#base.keys()) if ((counts.get(key) ?? 0) < (this.#seen.get(key) ?? 0)) this.#remove(key);
    this.#admit(counts);
    this.#seen = new Map(counts);
    return this.#split(counts, others);
  }

  #admit(counts: ReadonlyMap<number, number>): void {
    const rise = (key: number) => (counts.get(key) ?? 0) - (this.#seen.get(key) ?? 0);
    const all = [...counts.keys()];
    const floor = WORTH_A_SERIES * all.reduce((sum, key) => sum + Math.max(0, rise(key)), 0);
    const newcomers = all.filter((key) => !this.#base.has(key) && rise(key) > 0).sort((a, b) => rise(b) - rise(a));
    const quietest = [...this.#base.keys()].sort((a, b) => rise(a) - rise(b));
    for (const key of newcomers) {
      if (this.#base.size >= this.#limit) {
        const [out] = quietest;
        if (out === undefined || rise(key) < floor || rise(key) <= CLEARLY_BUSIER * rise(out)) break;
        quietest.shift();
        this.#remove(out);
      }
      this.#base.set(key, this.#seen.get(key) ?? 0);
    }
  }

  #remove(key: number): void {
    const kind = ioKind(key);
    const told = (this.#seen.get(key) ?? 0) - (this.#base.get(key) ?? 0);
    this.#gone[kind] = (this.#gone[kind] as number) + told;
    this.#base.delete(key);
  }

  #split(
    counts: ReadonlyMap<number, number>,
    others: Float64Array,
  ): { series: Map<number, number>; rest: Float64Array } {
    const series = new Map<number, number>();
    const rest = others.map((count, kind) => count - (this.#gone[kind] as number));
    for (const [key, count] of counts) {
      const base = this.#base.get(key);
      const own = base === undefined ? 0 : count - base;
      if (own > 0) series.set(key, own);
      rest[ioKind(key)] = (rest[ioKind(key)] as number) + count - own;
    }
    return { series, rest };
  }
}
