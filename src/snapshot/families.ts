/**
 * The parts of a snapshot that are about VMs: what tells their rows apart, how many series of /metrics a row makes, and how rows are
 * summed where there is no room for each.
 */
import { BUCKET_SECONDS } from '../count/counters/duration-histogram.js';
import type { ExitDuration, Rows, VmRows } from './snapshot.js';

/** Instead of a label's value: all that have no series of their own. */
export const OTHER = 'other';

export type VmField = keyof VmRows;

export type RowOf<K extends VmField> = VmRows[K];

/** The rows of a field, whichever. */
export function rowsOf<K extends VmField>(
  snapshot: { readonly [F in VmField]: Rows<RowOf<F>> },
  field: K,
): Rows<RowOf<K>> {
  return snapshot[field];
}

export interface Family<Row> {
  /** All that tell a row from others, the VM first. */
  readonly labels: readonly (keyof Row & string)[];
  readonly series: number;
  /** Labels of the row that others are summed in. Reasons are kept where it is vCPUs that are too many: they are few, and what one looks for. */
  readonly other: Partial<Row>;
  readonly plus: (a: Row, b: Row) => Row;
  /** What never falls, undefined where it may. */
  readonly value?: (row: Row) => number;
  /** These few are always there. */
  readonly always?: (row: Row) => boolean;
}

/** Buckets, +Inf, sum and count. */
const HISTOGRAM_SERIES = BUCKET_SECONDS.length + 3;

/** In the order in which they get room: what is one per VM before what is one per vCPU. */
export const FAMILIES: { readonly [K in VmField]: Family<RowOf<K>> } = {
  vms: {
    labels: ['vm', 'uuid', 'pid', 'vmm', 'namespace', 'pod', 'podUid', 'vmi', 'containerId', 'demo'],
    series: 2,
    other: { uuid: '', pid: '', vmm: '', namespace: '', pod: '', podUid: '', vmi: '', containerId: '' },
    plus: (a, b) => ({ ...a, vcpus: a.vcpus + b.vcpus }),
    always: () => true,
  },
  unpaired: { labels: ['vm', 'layer'], series: 1, other: {}, plus: addCounts, value: count, always: () => true },
  eventfds: {
    labels: ['vm', 'kind', 'seenBy', 'device'],
    series: 1,
    other: { device: OTHER },
    plus: addCounts,
    value: count,
    always: ({ seenBy }) => seenBy === 'kvm',
  },
  durations: {
    labels: ['vm', 'layer', 'reason'],
    series: HISTOGRAM_SERIES,
    other: { reason: OTHER },
    plus: addDurations,
    value: count,
  },
  causes: {
    labels: ['vm', 'reason', 'userspaceReason'],
    series: 1,
    other: { reason: OTHER, userspaceReason: OTHER },
    plus: addCounts,
    value: count,
  },
  io: {
    labels: ['vm', 'layer', 'bus', 'direction', 'address', 'device'],
    series: 1,
    other: { address: OTHER, device: '' },
    plus: addCounts,
    value: count,
  },
  qemuEvents: { labels: ['vm', 'event'], series: 1, other: { event: OTHER }, plus: addCounts, value: count },
  outside: {
    labels: ['vm', 'vcpu'],
    series: 3,
    other: { vcpu: OTHER },
    plus: (a, b) => ({
      ...a,
      kvmSeconds: a.kvmSeconds + b.kvmSeconds,
      qemuSeconds: a.qemuSeconds + b.qemuSeconds,
      idleSeconds: a.idleSeconds + b.idleSeconds,
    }),
    value: ({ kvmSeconds, qemuSeconds, idleSeconds }) => kvmSeconds + qemuSeconds + idleSeconds,
  },
  exits: {
    labels: ['vm', 'vcpu', 'layer', 'reason'],
    series: 1,
    other: { vcpu: OTHER },
    plus: addCounts,
    value: count,
  },
};

// Object.keys does not know that there are no others.
export const VM_FIELDS = Object.keys(FAMILIES) as VmField[];

/** What two rows of the same series have in common. */
export function keyOf<Row>({ labels }: Family<Row>, row: Row): string {
  let key = '';
  for (const label of labels) key += `${row[label]}\0`;
  return key;
}

function count({ count: value }: { readonly count: number }): number {
  return value;
}

function addCounts<Row extends { readonly count: number }>(a: Row, b: Row): Row {
  return { ...a, count: a.count + b.count };
}

function addDurations(a: ExitDuration, b: ExitDuration): ExitDuration {
  const all = a.count + b.count;
  const buckets = a.buckets.map((value, index) => value + (b.buckets[index] ?? 0));
  const minSeconds = Math.min(a.minSeconds, b.minSeconds);
  const maxSeconds = Math.max(a.maxSeconds, b.maxSeconds);
  // Of the sum only the buckets are known: the edge of the one that it is in, which is never too low.
  const quantile = (q: number) =>
    Math.min(maxSeconds, BUCKET_SECONDS[buckets.findIndex((value) => value >= q * all)] ?? maxSeconds);
  return {
    ...a,
    count: all,
    sumSeconds: a.sumSeconds + b.sumSeconds,
    minSeconds,
    maxSeconds,
    p50Seconds: quantile(0.5),
    p99Seconds: quantile(0.99),
    buckets,
  };
}
