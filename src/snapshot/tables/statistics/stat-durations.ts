import type { StatisticValues } from '../../../count/statistics/statistic-counts.js';
import type { StatisticLayout, StatisticSlot } from '../../../count/statistics/statistic-layout.js';
import { HISTOGRAM_LENGTH } from '../../../trace/kvm-statistic.js';
import { merged, RowTable, type VmRow } from '../row-table.js';

/** One of KVM's histograms, all vCPUs together. */
export interface StatDuration extends VmRow {
  readonly stat: string;
  readonly count: number;
  readonly sumSeconds: number;
  /** Number of durations below each of {@link STAT_BUCKET_SECONDS}, cumulative. */
  readonly buckets: readonly number[];
}

/** Powers of two of a nanosecond: every second edge of KVM's from 1 us up to 1.07 s, where its last counter begins. */
const EXPONENTS = Array.from({ length: 11 }, (_, index) => 10 + 2 * index);
const STAT_BUCKET_SECONDS: readonly number[] = EXPONENTS.map((exponent) => 2 ** exponent / 1e9);

/** How long vCPUs that had nothing to do polled and slept, as KVM's own histograms show it. */
export const STAT_DURATIONS = new RowTable<StatDuration>({
  rows: ({ statistics: { vms } }) =>
    [...vms].flatMap(([vm, { layout, vcpus }]) => {
      const histograms = layout.slots().filter(({ statistic: { kind } }) => kind === 'histogram');
      return histograms.flatMap((histogram) => {
        const row = durationOf(vm, histogram, [...vcpus.values()], layout);
        return row !== undefined && row.count > 0 ? [row] : [];
      });
    }),
  labels: { stat: merged('stat') },
  add: (a, b) => ({
    ...a,
    count: a.count + b.count,
    sumSeconds: a.sumSeconds + b.sumSeconds,
    buckets: a.buckets.map((count, index) => count + (b.buckets[index] ?? 0)),
  }),
  metrics: [
    {
      name: 'kvm_stat_duration_seconds',
      type: 'histogram',
      help:
        "KVM's own histograms, all vCPUs of a VM together. stat: halt_wait (an idle vCPU slept), halt_poll_success (it " +
        'polled, and there was work), halt_poll_fail (it polled in vain). Read over QMP only.',
      otel: { name: 'kvm.stat.duration', unit: 's' },
      bounds: STAT_BUCKET_SECONDS,
      value: (duration) => duration,
    },
  ],
});

/** Undefined if KVM has no sum for the histogram. `halt_wait_ns` is the sum of all values in `halt_wait_hist`. */
function durationOf(
  vm: string,
  { slot, statistic: { name } }: StatisticSlot,
  vcpus: readonly StatisticValues[],
  layout: StatisticLayout,
): StatDuration | undefined {
  const stat = name.replace(/_hist$/, '');
  const sum = layout.slots().find(({ statistic }) => statistic.name === `${stat}_ns` && statistic.isTime);
  if (sum === undefined) return undefined;
  const add = (at: number) => vcpus.reduce((total, values) => total + (values[at] || 0), 0);
  const counters = Array.from({ length: HISTOGRAM_LENGTH }, (_, index) => add(slot + index));
  const below = (exponent: number) => counters.slice(0, exponent + 1).reduce((total, count) => total + count, 0);
  return {
    vm,
    stat,
    count: below(HISTOGRAM_LENGTH),
    sumSeconds: add(sum.slot),
    buckets: EXPONENTS.map(below),
  };
}
