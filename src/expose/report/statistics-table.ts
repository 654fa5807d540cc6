/** KVM's own statistics as rows of a report. */
import type { StatisticGrowth } from '../../count/statistics/statistic-growth.js';
import type { Ranking } from './ranking.js';
import type { Recorded } from './recorded.js';
import { amount, percent, rate, section, time, vmCell } from './text-table.js';

/** A statistic as JSON has it: `count` of events, or `seconds`; null is the one that it is not. */
export interface JsonStatistic {
  readonly vm: string;
  readonly vcpu: string;
  readonly stat: string;
  readonly count: number | null;
  readonly seconds: number | null;
  readonly per_second: number;
}

/** Names of {@link JsonStatistic}, in their order. */
export const STATISTIC_COLUMNS: readonly (keyof JsonStatistic)[] = [
  'vm',
  'vcpu',
  'stat',
  'count',
  'seconds',
  'per_second',
];

export function jsonStatistic({ vm, vcpu, stat, isTime, growth, seconds }: StatisticGrowth): JsonStatistic {
  const [count, time] = isTime ? [null, growth] : [growth, null];
  return { vm, vcpu, stat, count, seconds: time, per_second: growth / seconds };
}

/**
 * All vCPUs of a VM together; events first.
 *
 *   VM    statistic             total   per s
 *   vm-a  exits                 4,171     834
 *   vm-a  halt_poll_fail_ns    1.21 s  24.2 %
 */
export function statisticsTable({ statistics = [] }: Recorded, ranking: Ranking): string[] {
  const grown = sumsOfVms(statistics).filter(({ growth }) => growth > 0);
  const table = section(
    "KVM's own statistics",
    ['VM', 'statistic', 'total', 'per s'],
    ranking.select(
      grown,
      (a, b) => Number(a.isTime) - Number(b.isTime) || b.growth - a.growth,
      ({ isTime }) => String(isTime),
    ),
    ({ vm, stat, isTime, growth, seconds }) => [
      vmCell(vm),
      stat,
      isTime ? time(growth) : amount(growth),
      (isTime ? percent : rate)(growth / seconds),
    ],
    2,
  );
  return table === '' ? [] : [table];
}

function sumsOfVms(statistics: readonly StatisticGrowth[]): StatisticGrowth[] {
  const sums = new Map<string, StatisticGrowth>();
  for (const row of statistics) {
    const key = `${row.vm}\0${row.stat}`;
    sums.set(key, { ...row, vcpu: '', growth: row.growth + (sums.get(key)?.growth ?? 0) });
  }
  return [...sums.values()];
}
