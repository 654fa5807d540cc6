/**
 * One of KVM's own statistics. KVM counts them per vCPU and per VM at no cost to guests, whether anything is traced or
 * not. Names differ by architecture and kernel: they come from the host, never from a table.
 */
export interface KvmStatistic {
  readonly name: string;
  /**
   * `total` only grows. `current` is a figure of now: a state, an amount or a maximum. `histogram` has a counter for
   * each power of two: counter n is for values from 2^(n-1) to 2^n - 1, the last one also for all larger values.
   */
  readonly kind: 'total' | 'current' | 'histogram';
  /** True if the unit is time; then values are in seconds, and the values in a histogram in nanoseconds. */
  readonly isTime: boolean;
  /** Number of counters: 1, or {@link HISTOGRAM_LENGTH}. */
  readonly length: number;
}

/** Counters of a histogram: up to 1 ns, 2 ns, 4 ns ... 1.07 s, and above. */
export const HISTOGRAM_LENGTH = 32;

/** A value of a statistic, or the counters of a histogram, from the lowest values up. */
export type StatisticValue = readonly [statistic: KvmStatistic, value: number | readonly number[]];

/** The statistics of one vCPU, or of a VM as a whole, as KVM had them at one moment. */
export interface StatisticsPart {
  /** Tells the parts of one VM apart. */
  readonly key: string;
  /** Number of the vCPU; '' for statistics of the VM, or sums over its vCPUs. */
  readonly vcpu: string;
  readonly values: readonly StatisticValue[];
}

/** A way to read statistics. Two doors may divide a VM into different parts. */
export type StatisticsDoor = 'qmp' | 'debugfs' | 'virsh';

/** All statistics of one VM that were read together. */
export interface StatisticsReading {
  readonly door: StatisticsDoor;
  readonly parts: readonly StatisticsPart[];
}

/** KVM's own names have up to 47 characters (KVM_STATS_NAME_SIZE, include/linux/kvm_types.h). */
const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

export function isStatisticName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}
