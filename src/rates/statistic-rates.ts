import type { Snapshot } from '../snapshot/snapshot.js';

/** Per second, all vCPUs together; null where KVM has no such statistic, or two readings are not known yet. */
export interface StatisticRate {
  readonly exits: number | null;
  readonly io: number | null;
  readonly mmio: number | null;
  readonly halts: number | null;
}

export const NO_STATISTICS: StatisticRate = { exits: null, io: null, mmio: null, halts: null };

/** KVM's names, of all architectures. */
const STATISTICS: { readonly [Figure in keyof StatisticRate]: readonly string[] } = {
  exits: ['exits'],
  io: ['io_exits'],
  mmio: ['mmio_exits', 'mmio_exit_user'],
  halts: ['halt_exits', 'wfi_exit_stat'],
};
const FIGURES = Object.keys(STATISTICS) as (keyof StatisticRate)[];

interface Reading {
  readonly readMs: number;
  readonly totals: Map<string, number>;
}

/**
 * Current rates from KVM's own statistics. These are read more seldom than the page is shown, so a rate is that between
 * their two latest readings, and stays until the next one.
 */
export class StatisticRates {
  #latest = new Map<string, Reading>();
  #rates = new Map<string, StatisticRate>();

  observe({ statTotals }: Pick<Snapshot, 'statTotals'>): void {
    const latest = new Map<string, Reading>();
    for (const { vm, stat, value, readMs } of statTotals) {
      const reading = latest.get(vm) ?? { readMs, totals: new Map<string, number>() };
      latest.set(vm, reading);
      reading.totals.set(stat, (reading.totals.get(stat) ?? 0) + value);
    }
    const rates = new Map<string, StatisticRate>();
    for (const [vm, reading] of latest) {
      const before = this.#latest.get(vm);
      const known = this.#rates.get(vm);
      if (before !== undefined && before.readMs < reading.readMs) rates.set(vm, ratesBetween(before, reading));
      else if (known !== undefined) rates.set(vm, known);
    }
    this.#latest = latest;
    this.#rates = rates;
  }

  of(vm: string): StatisticRate {
    return this.#rates.get(vm) ?? NO_STATISTICS;
  }
}

function ratesBetween(before: Reading, after: Reading): StatisticRate {
  const seconds = (after.readMs - before.readMs) / 1000;
  const rate = (names: readonly string[]): number | null => {
    const name = names.find((each) => after.totals.has(each));
    if (name === undefined) return null;
    return Math.max(0, (after.totals.get(name) ?? 0) - (before.totals.get(name) ?? 0)) / seconds;
  };
  const entries = FIGURES.map((figure) => [figure, rate(STATISTICS[figure])] as const);
  return { ...NO_STATISTICS, ...Object.fromEntries(entries) };
}
