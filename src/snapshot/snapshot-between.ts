import { quantileOf } from '../count/counters/duration-histogram.js';
import { TIME_STATES } from '../count/time/vcpu-time.js';
import type { Snapshot } from './snapshot.js';
import type { ExitDuration } from './tables/durations.js';
import type { IoCount } from './tables/io.js';
import type { Rows } from './tables/row-table.js';
import type { VcpuTimes } from './tables/vcpu-times.js';
import { type RowOf, rowsOf, rowsOfEachTable, TABLES, type TableName } from './tables.js';

/**
 * What was counted between two snapshots of one agent. Rows of which nothing was counted are left out. What is no count
 * stays as it is in the newer one: VMs, sources, KVM's own statistics.
 * @param seconds time between them
 */
export function snapshotBetween(older: Snapshot, newer: Snapshot, seconds: number): Snapshot {
  const hits = new Map(older.tracepoints.map(({ name, count }) => [name, count]));
  return {
    ...newer,
    ...rowsOfEachTable((name) => rowsBetween(name, older, newer, seconds)),
    statDurations: newer.statDurations,
    tracepoints: newer.tracepoints.map(({ name, count }) => ({ name, count: count - (hits.get(name) ?? 0) })),
    unattributedEvents: newer.unattributedEvents - older.unattributedEvents,
  };
}

function rowsBetween<Name extends TableName>(
  name: Name,
  older: Snapshot,
  newer: Snapshot,
  seconds: number,
): Rows<RowOf<Name>> {
  const keyOf = (row: RowOf<Name>) => TABLES[name].keyOf(hasAddress(row) ? { ...row, device: '' } : row);
  const [rows, before] = [rowsOf(newer, name), new Map(rowsOf(older, name).map((row) => [keyOf(row), row]))];
  return rows.map((row) => rowBetween(row, before.get(keyOf(row)), seconds)).filter(isCounted);
}

/** True for accesses to an address, whose device may become known, or known better, in between. */
function hasAddress(row: object): row is IoCount {
  return 'address' in row && 'bus' in row;
}

/** Subtracts what the row has: durations, times of a vCPU, or a count. */
function rowBetween<Row extends object>(now: Row, then: Row | undefined, seconds: number): Row {
  if (isDuration(now)) return { ...now, ...durationsBetween(now, then as typeof now | undefined) };
  if (isTimes(now)) return { ...now, ...timesBetween(now, then as typeof now | undefined, seconds) };
  if (hasAddress(now)) return { ...now, ...accessesBetween(now, then as typeof now | undefined) };
  if (isCount(now)) return { ...now, ...countBetween(now, then as typeof now | undefined) };
  return now;
}

function isDuration(row: object): row is ExitDuration {
  return 'halfOctaves' in row;
}

function isTimes(row: object): row is VcpuTimes {
  return 'guestSeconds' in row;
}

function isCount(row: object): row is { readonly count: number } {
  return 'count' in row && typeof row.count === 'number';
}

/** False for a row that counts something, of which there was nothing. */
function isCounted(row: object): boolean {
  return !isCount(row) || row.count > 0;
}

function countBetween<Row extends { readonly count: number }>(now: Row, then: Row | undefined): Row {
  return { ...now, count: Math.max(0, now.count - (then?.count ?? 0)) };
}

function accessesBetween(now: IoCount, then: IoCount | undefined): IoCount {
  const counted = countBetween(now, then);
  if (now.qemuSeconds === undefined) return counted;
  return { ...counted, qemuSeconds: Math.max(0, now.qemuSeconds - (then?.qemuSeconds ?? 0)) };
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
