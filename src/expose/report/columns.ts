import type { RowOf, TableName } from '../../snapshot/tables.js';

/** Tables that say nothing about a recording. */
type LiveOnly = 'advice' | 'vmStarts' | 'statTotals' | 'statSeconds' | 'statCurrent' | 'statDurations' | 'audits';

/**
 * The columns of every table of rows, and their names in JSON and CSV; null for a column that neither has. The compiler
 * asks for each column, so a new one cannot be forgotten. docs/report.schema.json describes them.
 */
export const COLUMNS = {
  exits: { vm: 'vm', vcpu: 'vcpu', layer: 'layer', reason: 'reason', count: 'count' },
  outside: {
    vm: 'vm',
    vcpu: 'vcpu',
    kvmSeconds: 'kvm_seconds',
    qemuSeconds: 'qemu_seconds',
    idleSeconds: 'idle_seconds',
  },
  io: {
    vm: 'vm',
    layer: 'layer',
    bus: 'bus',
    direction: 'direction',
    address: 'address',
    device: 'device',
    count: 'count',
  },
  causes: { vm: 'vm', reason: 'reason', userspaceReason: 'userspace_reason', count: 'count' },
  durations: {
    vm: 'vm',
    layer: 'layer',
    reason: 'reason',
    count: 'count',
    sumSeconds: 'sum_seconds',
    minSeconds: 'min_seconds',
    maxSeconds: 'max_seconds',
    p50Seconds: 'p50_seconds',
    p99Seconds: 'p99_seconds',
    buckets: 'buckets',
  },
  eventfds: { vm: 'vm', kind: 'kind', seenBy: 'seen_by', device: 'device', count: 'count' },
  qemuEvents: { vm: 'vm', event: 'event', count: 'count' },
  unpaired: { vm: 'vm', layer: 'layer', count: 'count' },
  vms: {
    vm: 'vm',
    uuid: 'uuid',
    pid: 'pid',
    vmm: 'vmm',
    namespace: 'namespace',
    pod: 'pod',
    podUid: 'pod_uid',
    vmi: 'vmi',
    containerId: 'container_id',
    demo: 'demo',
    vcpus: 'vcpus',
    startSeconds: 'start_seconds',
    series: null,
  },
} as const satisfies {
  readonly [Name in Exclude<TableName, LiveOnly>]: { readonly [Column in keyof RowOf<Name>]-?: string | null };
};

export type ReportTable = keyof typeof COLUMNS;

// Object.keys() does not know that COLUMNS has no further keys.
export const REPORT_TABLES = Object.keys(COLUMNS) as readonly ReportTable[];

type Columns = typeof COLUMNS;

/** Name in JSON -> column of the row. */
type ColumnsByName<Name extends ReportTable> = {
  [Column in keyof RowOf<Name> as Columns[Name][Column & keyof Columns[Name]] & string]: Column;
};

/** A row as JSON has it; null for a figure that is not known. */
export type JsonRow<Name extends ReportTable> = {
  readonly [Key in keyof ColumnsByName<Name>]: OrNull<RowOf<Name>[ColumnsByName<Name>[Key] & keyof RowOf<Name>]>;
};

type OrNull<Value> = Exclude<Value, undefined> | (undefined extends Value ? null : never);

/** The columns of a table, and their names. */
export function columnsOf<Name extends ReportTable>(name: Name): readonly (readonly [keyof RowOf<Name>, string])[] {
  const columns = Object.entries(COLUMNS[name]) as [keyof RowOf<Name>, string | null][];
  return columns.flatMap(([column, name]) => (name === null ? [] : [[column, name] as const]));
}

export function jsonRow<Name extends ReportTable>(name: Name, row: RowOf<Name>): JsonRow<Name> {
  const values = columnsOf(name).map(([column, key]) => [
    key,
    Number.isNaN(row[column]) ? null : (row[column] ?? null),
  ]);
  // TypeScript cannot follow the names of columns through Object.fromEntries().
  return Object.fromEntries(values) as unknown as JsonRow<Name>;
}
