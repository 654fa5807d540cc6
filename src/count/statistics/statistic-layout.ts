import type { KvmStatistic } from '../../trace/kvm-statistic.js';

export interface StatisticSlot {
  readonly statistic: KvmStatistic;
  /** Index of the value, or of the first counter, in the array of a vCPU. */
  readonly slot: number;
}

/** A kernel has about 100 statistics, three of them histograms. A process that poses as a QEMU may have any number. */
const MAX_SLOTS = 512;

/** Assigns each statistic of a VM an index, its slot, when it is first read. */
export class StatisticLayout {
  readonly #slots = new Map<string, StatisticSlot>();
  #sorted: readonly StatisticSlot[] = [];
  #size = 0;

  /** -1 if there are too many statistics; this one is not kept then. */
  slotOf(statistic: KvmStatistic): number {
    const key = `${statistic.kind} ${statistic.isTime} ${statistic.name}`;
    const known = this.#slots.get(key);
    if (known !== undefined) return known.slot;
    const slot = this.#size;
    if (slot + statistic.length > MAX_SLOTS) return -1;
    this.#size += statistic.length;
    this.#slots.set(key, { statistic, slot });
    this.#sorted = [...this.#slots.values()].sort((a, b) => (a.statistic.name < b.statistic.name ? -1 : 1));
    return slot;
  }

  /** The assigned slots, sorted by name. */
  slots(): readonly StatisticSlot[] {
    return this.#sorted;
  }
}
