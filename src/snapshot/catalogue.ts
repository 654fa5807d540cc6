/**
 * Every metric, once: its name, type, labels, help, its OpenTelemetry name and unit, and where in a snapshot its values are.
 * The views, the README's table, dashboards and rules are derived from this table or tested against it.
 */
import type { DurationSummary } from '../count/counters/duration-histogram.js';
import type { Snapshot } from './snapshot.js';

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** A point: label values in the order of the metric's `labels`, and the number. */
export type Sample = readonly [labels: readonly string[], value: number];

/** A point of a histogram: cumulative counts up to each of {@link BUCKET_SECONDS}. */
export type HistogramSample = readonly [
  labels: readonly string[],
  value: Pick<DurationSummary, 'count' | 'sumSeconds' | 'buckets'>,
];

export type Metric = NumberMetric | HistogramMetric;

export interface NumberMetric extends MetricBase {
  readonly type: 'counter' | 'gauge';
  readonly read: (snapshot: Snapshot) => Iterable<Sample>;
}

export interface HistogramMetric extends MetricBase {
  readonly type: 'histogram';
  readonly read: (snapshot: Snapshot) => Iterable<HistogramSample>;
}

interface MetricBase {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Name and unit over OTLP; a collector that turns them into Prometheus gives `name` again. */
  readonly otel: { readonly name: string; readonly unit: string };
}

export const CATALOGUE: readonly Metric[] = [
  {
    name: 'kvm_exits_total',
    type: 'counter',
    help:
      'VM exits. layer="kvm": guest to KVM, by hardware reason. layer="qemu": KVM to userspace, by KVM_EXIT reason, or restart or error where ' +
      'KVM_RUN was interrupted or failed. The layers are two legs of one trip: never add them.',
    labels: ['vm', 'vcpu', 'layer', 'reason'],
    otel: { name: 'kvm.exits', unit: '{exit}' },
    read: (snapshot) => each(snapshot.exits, (exit) => [[exit.vm, exit.vcpu, exit.layer, exit.reason], exit.count]),
  },
  {
    name: 'kvm_exit_duration_seconds',
    type: 'histogram',
    help:
      'Time a vCPU was away from its guest. layer="kvm": from the exit to the entry, without leaving the kernel. ' +
      'layer="qemu": from the return of KVM_RUN to the entry.',
    labels: ['vm', 'layer', 'reason'],
    otel: { name: 'kvm.exit.duration', unit: 's' },
    read: (snapshot) =>
      each(snapshot.durations, (duration) => [[duration.vm, duration.layer, duration.reason], duration]),
  },
  {
    name: 'kvm_vcpu_outside_guest_seconds_total',
    type: 'counter',
    help: 'Time a vCPU was away from its guest, idle time apart. layer="kvm": in KVM, also on the way to userspace; layer="qemu": in userspace. These two do add up.',
    labels: ['vm', 'vcpu', 'layer'],
    otel: { name: 'kvm.vcpu.outside_guest', unit: 's' },
    read: (snapshot) =>
      snapshot.outside.flatMap(({ vm, vcpu, kvmSeconds, qemuSeconds }): Sample[] => [
        [[vm, vcpu, 'kvm'], kvmSeconds],
        [[vm, vcpu, 'qemu'], qemuSeconds],
      ]),
  },
  {
    name: 'kvm_vcpu_idle_seconds_total',
    type: 'counter',
    help: 'Time a vCPU was away from its guest because the guest had nothing to do (HLT).',
    labels: ['vm', 'vcpu'],
    otel: { name: 'kvm.vcpu.idle', unit: 's' },
    read: (snapshot) => each(snapshot.outside, ({ vm, vcpu, idleSeconds }) => [[vm, vcpu], idleSeconds]),
  },
  {
    name: 'kvm_exit_causes_total',
    type: 'counter',
    help: 'Exits to userspace by the hardware exit that led to them; reason="none": the vCPU was not let into its guest before.',
    labels: ['vm', 'reason', 'userspace_reason'],
    otel: { name: 'kvm.exit.causes', unit: '{exit}' },
    read: (snapshot) =>
      each(snapshot.causes, ({ vm, reason, userspaceReason, count }) => [[vm, reason, userspaceReason], count]),
  },
  {
    name: 'kvm_io_exits_total',
    type: 'counter',
    help:
      'Accesses to ports and MMIO pages. layer="qemu": it went to userspace; layer="kvm": the kernel answered. ' +
      'The busiest addresses of each VM; all others are address="other".',
    labels: ['vm', 'layer', 'bus', 'direction', 'address', 'device'],
    otel: { name: 'kvm.io.exits', unit: '{access}' },
    read: (snapshot) =>
      each(snapshot.io, ({ vm, layer, bus, direction, address, device, count }) => [
        [vm, layer, bus, direction, address, device],
        count,
      ]),
  },
  {
    name: 'kvm_eventfd_signals_total',
    type: 'counter',
    help:
      'Signals that need no exit to QEMU. kind="ioeventfd": kicks by the guest without leaving KVM_RUN. kind="irqfd": interrupts injected by other threads than the vCPUs. ' +
      'seen_by="qemu": as its own trace tells it, by device; there also what did not take that road: kind="kick", an exit; kind="interrupt", injected by QEMU itself.',
    labels: ['vm', 'kind', 'seen_by', 'device'],
    otel: { name: 'kvm.eventfd.signals', unit: '{signal}' },
    read: (snapshot) =>
      each(snapshot.eventfds, ({ vm, kind, seenBy, device, count }) => [[vm, kind, seenBy, device], count]),
  },
  {
    name: 'kvm_tracepoint_hits_total',
    type: 'counter',
    help: 'Hits of each enabled kvm tracepoint, host-wide: what perf stat -e kvm:* -a counts.',
    labels: ['tracepoint'],
    otel: { name: 'kvm.tracepoint.hits', unit: '{hit}' },
    read: (snapshot) =>
      snapshot.tracepoints
        .filter(({ name }) => name !== 'tracing_mark_write')
        .map(({ name, count }) => [[name], count]),
  },
  {
    name: 'qemu_trace_events_total',
    type: 'counter',
    help: 'Events of QEMU\'s own traces, by name. kvm_run_exit is QEMU\'s view of kvm_exits_total{layer="qemu"} without restart and error.',
    labels: ['vm', 'event'],
    otel: { name: 'qemu.trace.events', unit: '{event}' },
    read: (snapshot) => each(snapshot.qemuEvents, ({ vm, event, count }) => [[vm, event], count]),
  },
  {
    name: 'kvm_vm_info',
    type: 'gauge',
    help: 'Identity of each VM, to join on; always 1. demo="true": replayed from a recording, not this host. namespace, pod, pod_uid, vmi and container_id: in Kubernetes.',
    labels: ['vm', 'uuid', 'pid', 'vmm', 'namespace', 'pod', 'pod_uid', 'vmi', 'container_id', 'demo'],
    otel: { name: 'kvm.vm.info', unit: '{vm}' },
    read: (snapshot) =>
      each(snapshot.vms, ({ vm, uuid, pid, vmm, namespace, pod, podUid, vmi, containerId, demo }) => [
        [vm, uuid, pid, vmm, namespace, pod, podUid, vmi, containerId, demo],
        1,
      ]),
  },
  {
    name: 'kvm_vm_vcpus',
    type: 'gauge',
    help: 'vCPU threads known of each VM.',
    labels: ['vm'],
    otel: { name: 'kvm.vm.vcpus', unit: '{vcpu}' },
    read: (snapshot) => each(snapshot.vms, ({ vm, vcpus }) => [[vm], vcpus]),
  },
  {
    name: 'kvm_exit_exporter_source_up',
    type: 'gauge',
    help: '1 while a source of events is open and read.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.source.up', unit: '{source}' },
    read: (snapshot) => bySource(snapshot, (source) => [[[], source.up ? 1 : 0]], Math.min),
  },
  {
    name: 'kvm_exit_exporter_events_total',
    type: 'counter',
    help: 'Events decoded, by source.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.events', unit: '{event}' },
    read: (snapshot) => bySource(snapshot, (source) => [[[], source.events]]),
  },
  {
    name: 'kvm_exit_exporter_drains_total',
    type: 'counter',
    help: 'Times that a source was drained.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.drains', unit: '{drain}' },
    read: (snapshot) => bySource(snapshot, (source) => [[[], source.drains]]),
  },
  {
    name: 'kvm_exit_exporter_drain_seconds_total',
    type: 'counter',
    help: 'Time spent reading and counting events, in seconds.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.drain', unit: 's' },
    read: (snapshot) => bySource(snapshot, (source) => [[[], source.drainSeconds]]),
  },
  {
    name: 'kvm_exit_exporter_lost_events_total',
    type: 'counter',
    help: 'Events known to be lost before the agent could read them, by source and host CPU.',
    labels: ['source', 'cpu'],
    otel: { name: 'kvm_exit_exporter.lost_events', unit: '{event}' },
    read: (snapshot) => bySource(snapshot, (source) => source.lost.map(({ cpu, events }) => [[cpu], events])),
  },
  {
    name: 'kvm_exit_exporter_unknown_gaps_total',
    type: 'counter',
    help: 'Gaps in a source where events are missing and nobody knows how many.',
    labels: ['source', 'cpu'],
    otel: { name: 'kvm_exit_exporter.unknown_gaps', unit: '{gap}' },
    read: (snapshot) => bySource(snapshot, (source) => source.lost.map(({ cpu, unknownGaps }) => [[cpu], unknownGaps])),
  },
  {
    name: 'kvm_exit_exporter_malformed_total',
    type: 'counter',
    help: 'Pieces of input that could not be decoded, by source and kind.',
    labels: ['source', 'kind'],
    otel: { name: 'kvm_exit_exporter.malformed', unit: '{piece}' },
    read: (snapshot) => bySource(snapshot, (source) => source.malformed.map(({ kind, count }) => [[kind], count])),
  },
  {
    name: 'kvm_exit_exporter_unpaired_exits_total',
    type: 'counter',
    help: 'Exits that have no duration: no entry was seen after them, or events were lost in between.',
    labels: ['vm', 'layer'],
    otel: { name: 'kvm_exit_exporter.unpaired_exits', unit: '{exit}' },
    read: (snapshot) => each(snapshot.unpaired, ({ vm, layer, count }) => [[vm, layer], count]),
  },
  {
    name: 'kvm_exit_exporter_unattributed_events_total',
    type: 'counter',
    help: 'Exits of threads that belong to no VM known; they are counted under vm="".',
    labels: [],
    otel: { name: 'kvm_exit_exporter.unattributed_events', unit: '{event}' },
    read: (snapshot) => [[[], snapshot.unattributedEvents]],
  },
  {
    name: 'kvm_exit_exporter_series',
    type: 'gauge',
    help: 'Series of this list that are exposed; those of the process itself not counted.',
    labels: [],
    otel: { name: 'kvm_exit_exporter.series', unit: '{series}' },
    read: ({ series }) => (series === undefined ? [] : [[[], series.count]]),
  },
  {
    name: 'kvm_exit_exporter_series_limited_total',
    type: 'counter',
    help: 'Series that got no place of their own and were summed as "other", by the limit that was reached: series (in all) or series_per_vm.',
    labels: ['limit'],
    otel: { name: 'kvm_exit_exporter.series_limited', unit: '{series}' },
    read: ({ series }) =>
      series === undefined ? [] : Object.entries(series.limited).map(([limit, count]) => [[limit], count]),
  },
];

/** Points of each source, with its name as first label. Sources of one name (several log files) are one series. */
function bySource(
  snapshot: Snapshot,
  points: (source: Snapshot['sources'][number]) => readonly Sample[],
  together: (a: number, b: number) => number = (a, b) => a + b,
): Sample[] {
  const series = new Map<string, Sample>();
  for (const source of snapshot.sources) {
    for (const [labels, value] of points(source)) {
      const all = [source.source, ...labels];
      const key = all.join('\0');
      const known = series.get(key);
      series.set(key, [all, known === undefined ? value : together(known[1], value)]);
    }
  }
  return [...series.values()];
}

/** One by one: of a hundred thousand rows, a list of samples would be most of a scrape's memory. */
function* each<Row, Point>(rows: Iterable<Row>, point: (row: Row) => Point): Generator<Point, void, undefined> {
  for (const row of rows) yield point(row);
}
