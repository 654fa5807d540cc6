import { IO_KINDS, ioKind } from './vcpu/io-table.js';

/**
 * An address replaces another only if its count rose this many times as much, so that series do not alternate with
 * every scrape.
 */
const MIN_RATIO = 2;
/**
 * An address replaces another only with this share of all accesses since the previous call: in a scan of ports none is
 * the busiest.
 */
const MIN_SHARE = 0.01;

export interface AddressCounts {
  /** Key of an {@link IoTable} -> count, for each address with a series of its own. */
  readonly series: ReadonlyMap<number, number>;
  /** Accesses to all other addresses, by {@link ioKind}. */
  readonly rest: Float64Array;
}

/**
 * Chooses the addresses of a VM that get series of their own; the accesses to all other addresses are summed by kind.
 *
 * Every access is in exactly one figure, and no figure decreases: an address that gets a series starts it at 0, because
 * its earlier accesses are already part of the sum. An address that loses its series takes that series' count along, so
 * that the sum does not jump.
 */
export class BusiestAddresses {
  readonly #limit: number;
  /**
   * Key of an address with a series -> the part of its count that belongs to the sum, from before it had the series.
   */
  readonly #countBefore = new Map<number, number>();
  /** Accesses that were exposed by series which have ended, by kind. */
  readonly #endedSeries = new Float64Array(IO_KINDS);
  /** All counts at the previous call. */
  #previous: ReadonlyMap<number, number> = new Map();

  /** @param limit addresses that have series at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param counts accesses by key, of every address that is kept
   * @param evicted accesses by kind, to addresses that are not kept any more
   */
  select(counts: ReadonlyMap<number, number>, evicted: Float64Array): AddressCounts {
    for (const key of this.#countBefore.keys())
      if ((counts.get(key) ?? 0) < (this.#previous.get(key) ?? 0)) this.#endSeries(key);
    this.#startSeries(counts);
    this.#previous = new Map(counts);
    return this.#split(counts, evicted);
  }

  #startSeries(counts: ReadonlyMap<number, number>): void {
    const rise = (key: number) => (counts.get(key) ?? 0) - (this.#previous.get(key) ?? 0);
    const all = [...counts.keys()];
    const minRise = MIN_SHARE * all.reduce((sum, key) => sum + Math.max(0, rise(key)), 0);
    const candidates = all
      .filter((key) => !this.#countBefore.has(key) && rise(key) > 0)
      .sort((a, b) => rise(b) - rise(a));
    const quietest = [...this.#countBefore.keys()].sort((a, b) => rise(a) - rise(b));
    for (const key of candidates) {
      if (this.#countBefore.size >= this.#limit) {
        const [replaced] = quietest;
        if (replaced === undefined || rise(key) < minRise || rise(key) <= MIN_RATIO * rise(replaced)) break;
        quietest.shift();
        this.#endSeries(replaced);
      }
      this.#countBefore.set(key, this.#previous.get(key) ?? 0);
    }
  }

  #endSeries(key: number): void {
    const kind = ioKind(key);
    const exposed = (this.#previous.get(key) ?? 0) - (this.#countBefore.get(key) ?? 0);
    this.#endedSeries[kind] = (this.#endedSeries[kind] as number) + exposed;
    this.#countBefore.delete(key);
  }

  #split(counts: ReadonlyMap<number, number>, evicted: Float64Array): AddressCounts {
    const series = new Map<number, number>();
    const rest = evicted.map((count, kind) => count - (this.#endedSeries[kind] as number));
    for (const [key, count] of counts) {
      const before = this.#countBefore.get(key);
      const own = before === undefined ? 0 : count - before;
      if (own > 0) series.set(key, own);
      rest[ioKind(key)] = (rest[ioKind(key)] as number) + count - own;
    }
    return { series, rest };
  }
}
