import { KINDS, kindOf } from './counters/key-table.js';

/** A key replaces another only if its count rose this many times as much, so that series do not alternate. */
const MIN_RATIO = 2;
/**
 * A key replaces another only with this share of all counts since the previous call: in a scan of all ports none is the
 * busiest.
 */
const MIN_SHARE = 0.01;

/** Keys without a series that are remembered; a guest may use any number. */
const MAX_ENDED = 1024;

export interface KeyCounts {
  /** Key of a {@link KeyTable} -> count, for each key with a series of its own. */
  readonly series: ReadonlyMap<number, number>;
  /** The sum of all other keys, by {@link kindOf}. */
  readonly rest: Float64Array;
}

/**
 * Chooses the keys of a VM that get series of their own (ports, MSRs ...); the rest is summed by kind.
 *
 * Every event is in exactly one figure, and no figure decreases. A key that gets a series starts it at 0, because its
 * earlier events are already part of the sum, or goes on where its series had ended. A key that loses its series takes
 * along the figure that was exported last, so that the sum does not jump.
 */
export class BusiestKeys {
  readonly #limit: number;
  /**
   * Key with a series -> the part of its count that belongs to the sum, from before it had the series.
   */
  readonly #countBefore = new Map<number, number>();
  /** Key with a series -> the figure that was exported last. */
  readonly #exported = new Map<number, number>();
  /** Key whose series has ended -> the figure that was exported last. If it comes back, it goes on with this figure. */
  readonly #ended = new Map<number, number>();
  /** What series that have ended had exported, by kind. */
  readonly #endedSeries = new Float64Array(KINDS);
  /** All counts at the previous call. */
  #previous: ReadonlyMap<number, number> = new Map();

  /** @param limit keys that have series at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param counts counts by key, of every key that is kept
   * @param evicted counts by kind, of keys that are not kept any more
   * @param isExported false if no monitoring system gets the figures
   */
  select(counts: ReadonlyMap<number, number>, evicted: Float64Array, isExported = true): KeyCounts {
    for (const key of this.#countBefore.keys())
      if ((counts.get(key) ?? 0) < (this.#previous.get(key) ?? 0)) this.#endSeries(key);
    this.#startSeries(counts);
    this.#previous = new Map(counts);
    const chosen = this.#split(counts, evicted);
    if (isExported) for (const [key, count] of chosen.series) this.#exported.set(key, count);
    return chosen;
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
      this.#startSeriesOf(key);
    }
  }

  #startSeriesOf(key: number): void {
    const figure = this.#ended.get(key) ?? 0;
    this.#ended.delete(key);
    this.#addEnded(key, -figure);
    this.#exported.set(key, figure);
    this.#countBefore.set(key, (this.#previous.get(key) ?? 0) - figure);
  }

  #endSeries(key: number): void {
    const figure = this.#exported.get(key) ?? 0;
    this.#addEnded(key, figure);
    this.#exported.delete(key);
    this.#countBefore.delete(key);
    if (figure > 0 && this.#ended.size < MAX_ENDED) this.#ended.set(key, figure);
  }

  #addEnded(key: number, figure: number): void {
    const kind = kindOf(key);
    this.#endedSeries[kind] = (this.#endedSeries[kind] as number) + figure;
  }

  #split(counts: ReadonlyMap<number, number>, evicted: Float64Array): KeyCounts {
    const series = new Map<number, number>();
    const rest = evicted.map((count, kind) => count - (this.#endedSeries[kind] as number));
    for (const [key, count] of counts) {
      const before = this.#countBefore.get(key);
      const own = before === undefined ? 0 : count - before;
      if (own > 0) series.set(key, own);
      rest[kindOf(key)] = (rest[kindOf(key)] as number) + count - own;
    }
    return { series, rest };
  }
}

/** The busiest keys of each VM. */
export class BusiestByVm {
  readonly #limit: number;
  readonly #vms = new Map<string, BusiestKeys>();

  /** @param limit keys of a VM that have series at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  of(vm: string): BusiestKeys {
    const known = this.#vms.get(vm) ?? new BusiestKeys(this.#limit);
    this.#vms.set(vm, known);
    return known;
  }

  forget(vm: string): void {
    this.#vms.delete(vm);
  }

  /** Forgets all VMs but these. */
  keepOnly(vms: ReadonlyMap<string, unknown>): void {
    for (const vm of this.#vms.keys()) if (!vms.has(vm)) this.#vms.delete(vm);
  }
}
