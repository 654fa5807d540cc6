import type { StatisticTotals } from './statistic-counts.js';

/** How much one of KVM's statistics grew between two readings. */
export interface StatisticGrowth {
  readonly vm: string;
  /** '' for the VM as a whole. */
  readonly vcpu: string;
  readonly stat: string;
  /** True if `growth` is seconds, false if it is a number of events. */
  readonly isTime: boolean;
  readonly growth: number;
  /** Time between the two readings. */
  readonly seconds: number;
}

/** A statistic's value at one moment. */
type Value = Omit<StatisticGrowth, 'growth' | 'seconds'> & { readonly value: number };

/** The totals of every VM as they were at one moment. */
export interface StatisticMoment {
  /** Label of the VM -> its latest reading. */
  readonly vms: ReadonlyMap<string, { readonly readMs: number; readonly values: ReadonlyMap<string, Value> }>;
}

/** A copy of what was read last. */
export function statisticMoment({ vms, readMs }: StatisticTotals): StatisticMoment {
  const moment = Array.from(vms, ([vm, { layout, vcpus }]) => {
    const totals = layout.slots().filter(({ statistic: { kind } }) => kind === 'total');
    const values = [...vcpus].flatMap(([vcpu, ofVcpu]) =>
      totals.flatMap(({ slot, statistic: { name: stat, isTime } }): [string, Value][] => {
        const value = ofVcpu[slot] ?? Number.NaN;
        return Number.isNaN(value) ? [] : [[`${vcpu}\0${stat}`, { vm, vcpu, stat, isTime, value }]];
      }),
    );
    return [vm, { readMs: readMs.get(vm) ?? 0, values: new Map(values) }] as const;
  });
  return { vms: new Map(moment) };
}

/**
 * What KVM counted between two moments: of VMs that were read for both. Of a VM that started in between, KVM has
 * counted from its start on.
 * @param hasStarted true for a VM that started in between
 * @param seconds time between the moments
 */
export function statisticGrowth(
  older: StatisticMoment,
  newer: StatisticMoment,
  hasStarted: (vm: string) => boolean,
  seconds: number,
): StatisticGrowth[] {
  return [...newer.vms].flatMap(([vm, { readMs, values }]) => {
    const before = older.vms.get(vm);
    if (before === undefined && !hasStarted(vm)) return [];
    const between = before === undefined ? seconds : (readMs - before.readMs) / 1000;
    // A VM that has ended meanwhile was not read again.
    if (between <= 0) return [];
    return Array.from(values, ([key, { value, ...of }]) => {
      const growth = value - (before?.values.get(key)?.value ?? 0);
      return { ...of, growth: Math.max(0, growth), seconds: between };
    });
  });
}
