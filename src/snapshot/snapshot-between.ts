import { quantileOf } from '../count/counters/duration-histogram.js';
import { TIME_STATES } from '../count/time/vcpu-time.js';
import type { Snapshot } from './snapshot.js';
import type { ExitDuration } from './tables/durations.js';
import type { VcpuTimes } from './tables/vcpu-times.js';
import { type RowOf, rowsOf, TABLES, type TableName } from './tables.js';

/**
 * What was counted between two snapshots of one agent. Rows of which nothing was counted are left out. What is no count
 * stays as it is in the newer one: VMs, sources, KVM's own statistics.
 * @param seconds time between them
 */
export function snapshotBetween(older: Snapshot, newer: Snapshot, seconds: number): Snapshot {
  const hits = new Map(older.tracepoints.map(({ name, count }) => [name, count]));
  return {
    ...newer,
    exits: between('exits', older, newer, countBetween).filter(isCounted),
    causes: between('causes', older, newer, countBetween).filter(isCounted),
    io: between('io', older, newer, countBetween).filter(isCounted),
    eventfds: between('eventfds', older, newer, countBetween).filter(isCounted),
    qemuEvents: between('qemuEvents', older, newer, countBetween).filter(isCounted),
    unpaired: between('unpaired', older, newer, countBetween).filter(isCounted),
    durations: between('durations', older, newer, durationsBetween).filter(isCounted),
    vcpuTimes: between('vcpuTimes', older, newer, (now, then) => timesBetween(now, then, seconds)),
    tracepoints: newer.tracepoints.map(({ name, count }) => ({ name, count: count - (hits.get(name) ?? 0) })),
    unattributedEvents: newer.unattributedEvents - older.unattributedEvents,
  };
}

function between<Name extends TableName>(
  name: Name,
  older: Snapshot,
  newer: Snapshot,
  subtract: (now: RowOf<Name>, then: RowOf<Name> | undefined) => RowOf<Name>,
): readonly RowOf<Name>[] {
  const table = TABLES[name];
  const before = new Map(rowsOf(older, name).map((row) => [table.keyOf(row), row]));
  return rowsOf(newer, name).map((row) => subtract(row, before.get(table.keyOf(row))));
}

function isCounted({ count }: { readonly count: number }): boolean {
  return count > 0;
}

function countBetween<Row extends { readonly count: number }>(now: Row, then: Row | undefined): Row {
  return { ...now, count: Math.max(0, now.count - (then?.count ?? 0)) };
}

function durationsBetween(now: ExitDuration, then: ExitDuration | undefined): ExitDuration {
  if (then === undefined) return now;
  const less = (counts: readonly number[], by: readonly number[]) =>
    counts.map((count, index) => count - (by[index] ?? 0));
  const rest = {
    ...now,
    count: now.count - then.count,
    sumSeconds: now.sumSeconds - then.sumSeconds,
    buckets: less(now.buckets, then.buckets),
    halfOctaves: less(now.halfOctaves, then.halfOctaves),
  };
  return { ...rest, p50Seconds: quantileOf(rest, 0.5), p99Seconds: quantileOf(rest, 0.99) };
}

/**
 * Time is counted up to the vCPU's latest reading. If the one before was long before the period, a vCPU gains more time
 * than there is, and gets that of the period.
 */
function timesBetween(now: VcpuTimes, then: VcpuTimes | undefined, seconds: number): VcpuTimes {
  const gains = TIME_STATES.map((state) => {
    const column = `${state}Seconds` as const;
    const total = now[column];
    return [column, total === undefined ? undefined : Math.max(0, total - (then?.[column] ?? 0))] as const;
  });
  const gained = gains.reduce((sum, [, gain]) => sum + (gain ?? 0), 0);
  const part = Math.min(1, seconds / gained);
  return { ...now, ...Object.fromEntries(gains.map(([column, gain]) => [column, gain && gain * part])) };
}
