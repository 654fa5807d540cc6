import type { StatisticsPart, StatisticValue } from '../../trace/kvm-statistic.js';

/**
 * QEMU lists the counters of a histogram from the highest values down: it puts each one before those that it has
 * (add_kvmstat_entry, accel/kvm/kvm-all.c, 7.1 to 10.1). A version that mends this is recognised by the sum of the
 * values, which KVM keeps beside each histogram: `halt_wait_ns` beside `halt_wait_hist`.
 *
 * @returns undefined if the histograms are empty, or could be read either way
 */
export function areMirrored(parts: readonly StatisticsPart[]): boolean | undefined {
  for (const { values } of parts)
    for (const [{ name, kind }, counters] of values) {
      if (kind !== 'histogram' || typeof counters === 'number') continue;
      const sumNs = totalOf(values, name.replace(/_hist$/, '_ns')) * 1e9;
      const [asListed, reversed] = [fits(counters, sumNs), fits(counters.toReversed(), sumNs)];
      if (asListed !== reversed) return reversed;
    }
  return undefined;
}

/** The same values with the histograms turned round. */
export function mirrored(part: StatisticsPart): StatisticsPart {
  const values = part.values.map(
    ([statistic, value]): StatisticValue => [statistic, typeof value === 'number' ? value : value.toReversed()],
  );
  return { ...part, values };
}

function totalOf(values: readonly StatisticValue[], name: string): number {
  const value = values.find(([statistic]) => statistic.name === name)?.[1];
  return typeof value === 'number' ? value : Number.NaN;
}

/** True if values that were counted like this may have this sum. Counter n is for 2^(n-1) to 2^n - 1. */
function fits(counters: readonly number[], sum: number): boolean {
  const lowest = counters.reduce((total, count, n) => total + (n === 0 ? 0 : count * 2 ** (n - 1)), 0);
  const isOpen = (counters.at(-1) ?? 0) > 0;
  const highest = isOpen ? Number.POSITIVE_INFINITY : counters.reduce((total, count, n) => total + count * 2 ** n, 0);
  return lowest <= sum && sum <= highest;
}
