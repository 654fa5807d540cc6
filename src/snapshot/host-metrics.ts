import type { NumberMetric, Sample } from './metric.js';
import type { Snapshot, SourceState } from './snapshot.js';

/** Events in the same buffer that are no hits of tracepoints of kvm: QEMU's markers, starts and ends of threads. */
const OTHER_EVENTS: ReadonlySet<string> = new Set(['tracing_mark_write', 'sched_process_exit', 'task_newtask']);

/**
 * The metrics that belong to the host or to the agent, not to a VM. They have few series, whatever runs on the host.
 */
export const HOST_METRICS: readonly NumberMetric[] = [
  {
    name: 'kvm_tracepoint_hits_total',
    type: 'counter',
    help: 'Hits of each enabled kvm tracepoint on the whole host: the figures of perf stat -e kvm:* -a.',
    labels: ['tracepoint'],
    otel: { name: 'kvm.tracepoint.hits', unit: '{hit}' },
    read: ({ tracepoints }) =>
      tracepoints.filter(({ name }) => !OTHER_EVENTS.has(name)).map(({ name, count }) => [[name], count]),
  },
  {
    name: 'kvm_exit_exporter_unattributed_events_total',
    type: 'counter',
    help: 'Exits, of both layers, by threads that belong to no known VM. kvm_exits_total has them under vm="".',
    labels: [],
    otel: { name: 'kvm_exit_exporter.unattributed_events', unit: '{event}' },
    read: ({ unattributedEvents }) => [[[], unattributedEvents]],
  },
  {
    name: 'kvm_exit_exporter_source_up',
    type: 'gauge',
    help: '1 while a source of events is open and being read, else 0. Several files of one kind are one source, up while all of them are.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.source.up', unit: '{source}' },
    read: (snapshot) => bySource(snapshot, ({ up }) => [[[], up ? 1 : 0]], Math.min),
  },
  {
    name: 'kvm_exit_exporter_events_total',
    type: 'counter',
    help: 'Events decoded, by source.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.events', unit: '{event}' },
    read: (snapshot) => bySource(snapshot, ({ events }) => [[[], events]]),
  },
  {
    name: 'kvm_exit_exporter_drains_total',
    type: 'counter',
    help: 'Times that the agent read what a source had ready, by source.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.drains', unit: '{drain}' },
    read: (snapshot) => bySource(snapshot, ({ drains }) => [[[], drains]]),
  },
  {
    name: 'kvm_exit_exporter_drain_seconds_total',
    type: 'counter',
    help: 'Seconds of wall-clock time spent reading, decoding and counting events, by source.',
    labels: ['source'],
    otel: { name: 'kvm_exit_exporter.drain', unit: 's' },
    read: (snapshot) => bySource(snapshot, ({ drainSeconds }) => [[[], drainSeconds]]),
  },
  {
    name: 'kvm_exit_exporter_lost_events_total',
    type: 'counter',
    help:
      'Events known to be lost before the agent could read them, by source and host CPU; cpu is empty where the loss is not of one CPU. ' +
      'Gaps of unknown size are not included (kvm_exit_exporter_unknown_gaps_total).',
    labels: ['source', 'cpu'],
    otel: { name: 'kvm_exit_exporter.lost_events', unit: '{event}' },
    read: (snapshot) => bySource(snapshot, ({ lost }) => lost.map(({ cpu, events }) => [[cpu], events])),
  },
  {
    name: 'kvm_exit_exporter_unknown_gaps_total',
    type: 'counter',
    help: 'Gaps in a source where an unknown number of events is missing, by source and host CPU.',
    labels: ['source', 'cpu'],
    otel: { name: 'kvm_exit_exporter.unknown_gaps', unit: '{gap}' },
    read: (snapshot) => bySource(snapshot, ({ lost }) => lost.map(({ cpu, unknownGaps }) => [[cpu], unknownGaps])),
  },
  {
    name: 'kvm_exit_exporter_malformed_total',
    type: 'counter',
    help: 'Pieces of input (lines, records, pages) that could not be decoded, by source and kind.',
    labels: ['source', 'kind'],
    otel: { name: 'kvm_exit_exporter.malformed', unit: '{piece}' },
    read: (snapshot) => bySource(snapshot, ({ malformed }) => malformed.map(({ kind, count }) => [[kind], count])),
  },
  {
    name: 'kvm_exit_exporter_audit_checks',
    type: 'gauge',
    help:
      "Comparisons of our counts with KVM's own, one for each VM and check, by outcome: compared (kvm_exit_exporter_audit_ratio), " +
      'sampled (--sampling counts these exits in windows only), too_short (a VM is audited for less than a minute), few_events (fewer than 500), uncertain (reading took so ' +
      'long that a difference of 1 % would not show), events_lost, or not_comparable (on this host; the log says why).',
    labels: ['outcome'],
    otel: { name: 'kvm_exit_exporter.audit.checks', unit: '{check}' },
    read: ({ auditChecks }) => auditChecks.map(({ outcome, checks }) => [[outcome], checks]),
  },
  {
    name: 'kvm_exit_exporter_sampled_fraction',
    type: 'gauge',
    help:
      'With --sampling: the part of the latest period in which all events were counted. Then these are estimates: ' +
      'layer="kvm" of kvm_exits_total, kvm_exit_causes_total, kvm_io_exits_total, kvm_exit_duration_seconds, ' +
      'kvm_eventfd_signals_total of seen_by="kvm", and what the collector indices counts; and ' +
      'kvm_tracepoint_hits_total has only what was seen. 0 before the end of the first period; absent without --sampling.',
    labels: [],
    otel: { name: 'kvm_exit_exporter.sampled_fraction', unit: '{ratio}' },
    read: ({ sampledFraction }) => (sampledFraction === undefined ? [] : [[[], sampledFraction]]),
  },
  {
    name: 'kvm_exit_exporter_series',
    type: 'gauge',
    help: "Series exposed, without those of the agent's own process and build.",
    labels: [],
    otel: { name: 'kvm_exit_exporter.series', unit: '{series}' },
    read: ({ series }) => (series === undefined ? [] : [[[], series.count]]),
  },
  {
    name: 'kvm_exit_exporter_series_limited_total',
    type: 'counter',
    help: 'Series that were merged into "other" because a limit was reached, by limit: series (of all VMs together) or series_per_vm.',
    labels: ['limit'],
    otel: { name: 'kvm_exit_exporter.series_limited', unit: '{series}' },
    read: ({ series }) =>
      series === undefined ? [] : Object.entries(series.limited).map(([limit, count]) => [[limit], count]),
  },
  {
    name: 'kvm_exit_exporter_otlp_exports_total',
    type: 'counter',
    help: 'Exports over OTLP that have ended. result="incomplete": the receiver did not accept one of their requests.',
    labels: ['result'],
    otel: { name: 'kvm_exit_exporter.otlp.exports', unit: '{export}' },
    read: ({ otlp }) =>
      otlp === undefined ? [] : Object.entries(otlp.exports).map(([result, count]) => [[result], count]),
  },
  {
    name: 'kvm_exit_exporter_otlp_export_seconds_total',
    type: 'counter',
    help: 'Seconds of wall-clock time from the start to the end of exports over OTLP.',
    labels: [],
    otel: { name: 'kvm_exit_exporter.otlp.export', unit: 's' },
    read: ({ otlp }) => (otlp === undefined ? [] : [[[], otlp.seconds]]),
  },
  {
    name: 'kvm_exit_exporter_otlp_requests_total',
    type: 'counter',
    help:
      'Requests over OTLP, retries included, by HTTP status of the answer; timeout: no answer in time; ' +
      'unreachable: the connection failed.',
    labels: ['status'],
    otel: { name: 'kvm_exit_exporter.otlp.requests', unit: '{request}' },
    read: ({ otlp }) => (otlp?.requests ?? []).map(({ status, count }) => [[status], count]),
  },
  {
    name: 'kvm_exit_exporter_otlp_series',
    type: 'gauge',
    help: 'Series in the latest export over OTLP; a histogram counts as one.',
    labels: [],
    otel: { name: 'kvm_exit_exporter.otlp.series', unit: '{series}' },
    read: ({ otlp }) => (otlp === undefined ? [] : [[[], otlp.series]]),
  },
];

/**
 * Samples of each source, with its name as first label. Sources of the same name (several log files) are combined into
 * one series.
 */
function bySource(
  { sources }: Snapshot,
  samplesOf: (source: SourceState) => readonly Sample[],
  combine: (a: number, b: number) => number = (a, b) => a + b,
): Sample[] {
  const series = new Map<string, Sample>();
  for (const state of sources) {
    for (const [labels, value] of samplesOf(state)) {
      const allLabels = [state.source, ...labels];
      const key = allLabels.join('\0');
      const known = series.get(key);
      series.set(key, [allLabels, known === undefined ? value : combine(known[1], value)]);
    }
  }
  return [...series.values()];
}
