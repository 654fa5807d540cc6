/** The dashboard "KVM exits / Exporter": the agents' health, and what they cost. */

import { series, sumBy } from '../promql.js';
import { MISSED_FOR, silentAgents } from '../silent-agents.js';
import { build, OF_INSTANCES, rate, UID } from './dashboard.js';
import { graph, type Panel, stat, table } from './panels.js';

const rateOf = (name: string) => rate(name, OF_INSTANCES);
const BY_SOURCE = ['instance', 'source'];

const events = sumBy(BY_SOURCE, rateOf('kvm_exit_exporter_events_total'));
const lost = rateOf('kvm_exit_exporter_lost_events_total');
const drain = rateOf('kvm_exit_exporter_drain_seconds_total');
const drains = rateOf('kvm_exit_exporter_drains_total');
const agents = `group by (job, instance) (${series('kvm_exit_exporter_build_info', OF_INSTANCES)})`;
const silent = silentAgents(OF_INSTANCES, OF_INSTANCES, (selector) => `${selector} offset ${MISSED_FOR}`);

/** A metric of the agent's process as /metrics has it, or else as OTLP has it. */
function processMetric(by: readonly string[], scraped: string, sent: string): string {
  return `${sumBy(by, scraped)} or ${sumBy(by, sent)}`;
}

function cpu(by: readonly string[]): string {
  return processMetric(by, rateOf('process_cpu_seconds_total'), rateOf('process_cpu_time_seconds_total'));
}

const health: Panel[] = [
  stat({
    title: 'Agents that answer',
    description: 'Agents of the chosen jobs that are scraped, or that send over OTLP.',
    unit: 'none',
    width: 4,
    query: `count(${agents})`,
  }),
  stat({
    title: 'Agents that do not answer',
    description:
      'Targets that Prometheus cannot scrape, and agents that sent over OTLP an hour ago and no longer do. No exits of their hosts are counted.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${silent}) or vector(0)`,
  }),
  stat({
    title: 'Sources that are down',
    description: 'Sources (kernel trace, QEMU logs ...) that an agent is configured to read and cannot. Normally none.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${series('kvm_exit_exporter_source_up', OF_INSTANCES)} == 0) or vector(0)`,
  }),
  stat({
    title: 'Events',
    description: 'Events that the agents decode per second, all sources together.',
    unit: 'suffix:/s',
    width: 4,
    query: `sum(${rateOf('kvm_exit_exporter_events_total')})`,
  }),
  stat({
    title: 'Share of events lost',
    description: 'Share of events that were overwritten in the ring buffers before an agent read them.',
    unit: 'percentunit',
    width: 4,
    limits: [0.0001, 0.001],
    query: `(sum(${lost}) or vector(0)) / ((sum(${rateOf('kvm_exit_exporter_events_total')}) + (sum(${lost}) or vector(0))) > 0)`,
  }),
  stat({
    title: 'CPU of all agents',
    description: 'CPU cores that the agents use, all hosts together.',
    unit: 'short',
    width: 4,
    query: `sum(${cpu(['job', 'instance'])})`,
  }),
];

const reading: Panel[] = [
  graph({
    title: 'Sources',
    description:
      '1: the source is open and read. 0: the agent cannot read it. A source that is no longer configured disappears.',
    unit: 'bool_yes_no',
    width: 8,
    max: 1,
    queries: [{ expr: series('kvm_exit_exporter_source_up', OF_INSTANCES), legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'Events decoded',
    description:
      'Events per second, by source. If it falls to zero while VMs run, the source is empty, or another program has switched the tracepoints off.',
    unit: 'suffix:/s',
    width: 8,
    queries: [{ expr: events, legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'Tracepoints',
    description:
      'Hits of each kvm tracepoint on the whole host, as perf stat -e kvm:* -a counts them. kvm_exit and kvm_entry should be nearly equal.',
    unit: 'suffix:/s',
    width: 8,
    queries: [{ expr: sumBy(['tracepoint'], rateOf('kvm_tracepoint_hits_total')), legend: '{{tracepoint}}' }],
  }),
  graph({
    title: 'Time spent draining',
    description:
      'Share of one core that the agent spends reading and counting. Near 1 it cannot keep up and starts to lose events.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: sumBy(BY_SOURCE, drain), legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'Time of one drain',
    description: 'Average time of one pass over the buffers. A scrape that arrives during a pass waits until it ends.',
    unit: 's',
    width: 8,
    queries: [
      {
        expr: `${sumBy(BY_SOURCE, drain)} / (${sumBy(BY_SOURCE, drains)} > 0)`,
        legend: '{{source}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Exits without a duration, and events without a VM',
    description:
      'Unpaired: no entry followed the exit, or events were lost in between. Unattributed: the thread belongs to no known VM; the exit is counted under vm="".',
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: sumBy(['instance', 'layer'], rateOf('kvm_exit_exporter_unpaired_exits_total')),
        legend: 'unpaired in {{layer}} on {{instance}}',
      },
      {
        expr: sumBy(['instance'], rateOf('kvm_exit_exporter_unattributed_events_total')),
        legend: 'unattributed on {{instance}}',
      },
    ],
  }),
];

const loss: Panel[] = [
  graph({
    title: 'Events lost',
    description:
      'Events per second that were overwritten before the agent read them, by host CPU. Remedy: larger ring buffers (--tracefs.buffer-size), or more CPU for the agent.',
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: `${sumBy(['instance', 'source', 'cpu'], lost)} > 0`,
        legend: '{{source}} CPU {{cpu}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Gaps of unknown size',
    description: 'Gaps per second for which the source does not say how many events are missing.',
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: `${sumBy(BY_SOURCE, rateOf('kvm_exit_exporter_unknown_gaps_total'))} > 0`,
        legend: '{{source}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Malformed input',
    description:
      'Pieces of input per second that could not be decoded, by kind. A few after a crash of QEMU are normal. A steady rate means a format that the agent does not know: please report it.',
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: `${sumBy(['instance', 'source', 'kind'], rateOf('kvm_exit_exporter_malformed_total'))} > 0`,
        legend: '{{source}} {{kind}} on {{instance}}',
      },
    ],
  }),
];

const audit: Panel[] = [
  graph({
    title: 'Counts against those of KVM',
    description:
      "The agent's count of exits by KVM's own count of the same exits, the VM that differs most. 1: they agree. Below 1: the agent misses exits, although no loss was reported.",
    unit: 'short',
    width: 8,
    queries: [
      {
        expr: `min by (instance, check) (${series('kvm_exit_exporter_audit_ratio', OF_INSTANCES)})`,
        legend: '{{check}} on {{instance}}, lowest',
      },
      {
        expr: `max by (instance, check) (${series('kvm_exit_exporter_audit_ratio', OF_INSTANCES)})`,
        legend: '{{check}} on {{instance}}, highest',
      },
    ],
  }),
  graph({
    title: 'Uncertainty of these counts',
    description:
      "Part of KVM's count by which the ratio may be wrong, because exits happen while KVM's statistics are read; the VM of which it is largest.",
    unit: 'percentunit',
    width: 8,
    queries: [
      {
        expr: `max by (instance, check) (${series('kvm_exit_exporter_audit_uncertainty', OF_INSTANCES)})`,
        legend: '{{check}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Outcome of the audit',
    description:
      'Comparisons with KVM, one for each VM and check. compared: they have a ratio. sampled: --sampling counts these exits in windows only. too_short: the VM is audited for less than a minute. few_events: less than 500. uncertain: reading took so long that a difference of 1 % would not show. events_lost: in the last five minutes. not_comparable: on this host; the log says why.',
    unit: 'short',
    width: 8,
    stacked: true,
    queries: [
      {
        expr: sumBy(['instance', 'outcome'], series('kvm_exit_exporter_audit_checks', OF_INSTANCES)),
        legend: '{{outcome}} on {{instance}}',
      },
    ],
  }),
];

const sampling: Panel[] = [
  graph({
    title: 'Time in which all events are counted',
    description:
      'With --sampling, frequent events are counted in windows only: this part of the time. What is estimated from them is named in docs/sampling.md.',
    unit: 'percentunit',
    width: 8,
    queries: [
      {
        expr: `max by (instance) (${series('kvm_exit_exporter_sampled_fraction', OF_INSTANCES)})`,
        legend: '{{instance}}',
      },
    ],
  }),
  graph({
    title: 'Error of estimated exits',
    description:
      'How far the number of exits by reason since the start of the agent may be from the true one, in 95 % of the cases. Their sum over all reasons is exact.',
    unit: 'short',
    width: 8,
    queries: [
      {
        expr: sumBy(['instance', 'reason'], series('kvm_exits_sampling_error', OF_INSTANCES)),
        legend: '{{reason}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'VMs in focus',
    description:
      'With --focus and --focus.auto: the VMs of which all events are counted at present, so that their figures are not estimated.',
    unit: 'short',
    width: 8,
    stacked: true,
    queries: [
      {
        expr: sumBy(['instance', 'vm'], series('kvm_vm_focused', OF_INSTANCES)),
        legend: '{{vm}} on {{instance}}',
      },
    ],
  }),
];

const cost: Panel[] = [
  graph({
    title: 'Series',
    description:
      'Series that each agent exposes, without those of its own process. --limit.series and --limit.series-per-vm bound them; the rest is added up as "other".',
    unit: 'short',
    width: 12,
    queries: [{ expr: sumBy(['instance'], series('kvm_exit_exporter_series', OF_INSTANCES)), legend: '{{instance}}' }],
  }),
  graph({
    title: 'Series refused',
    description:
      'Series per second that exceeded a limit: series (all VMs) or series_per_vm. They are added up as "other". Normally empty.',
    unit: 'suffix:/s',
    width: 12,
    queries: [
      {
        expr: `${sumBy(['instance', 'limit'], rateOf('kvm_exit_exporter_series_limited_total'))} > 0`,
        legend: '{{limit}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'CPU',
    description: 'CPU cores that each agent uses: about a tenth of a microsecond per event, plus a little for scrapes.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: cpu(['instance']), legend: '{{instance}}' }],
  }),
  graph({
    title: 'Memory',
    description:
      'Resident memory, and its peak since the start. It grows with the number of live series, not with events. A steady climb is a bug: please report it. The ring buffers are kernel memory and not included.',
    unit: 'bytes',
    width: 8,
    queries: [
      {
        expr: processMetric(
          ['instance'],
          series('process_resident_memory_bytes', OF_INSTANCES),
          series('process_memory_usage_bytes', OF_INSTANCES),
        ),
        legend: '{{instance}}',
      },
      { expr: series('kvm_exit_exporter_max_resident_memory_bytes', OF_INSTANCES), legend: '{{instance}}, peak' },
    ],
  }),
  graph({
    title: 'Longest stall',
    description:
      'Longest time for which one piece of work kept the agent from everything else, in the last one or two minutes. The work is the part that was CPU time, and not a wait. More than 0.2 s of work is a bug: please report it.',
    unit: 's',
    width: 8,
    queries: [
      { expr: series('kvm_exit_exporter_event_loop_max_stall_seconds', OF_INSTANCES), legend: '{{instance}}' },
      { expr: series('kvm_exit_exporter_event_loop_max_work_seconds', OF_INSTANCES), legend: '{{instance}}, work' },
    ],
  }),
  table({
    title: 'Versions',
    description: 'Version of the agent and of Node.js on each host.',
    unit: 'none',
    width: 24,
    height: 6,
    sortBy: 'agents',
    columns: [
      {
        expr: `count by (instance, version, node) (${series('kvm_exit_exporter_build_info', OF_INSTANCES)})`,
        legend: 'agents',
        unit: 'none',
      },
    ],
  }),
];

const otlp: Panel[] = [
  graph({
    title: 'Requests over OTLP, by answer',
    description:
      'Requests per second by HTTP status, retries included. timeout: no answer in time. unreachable: the connection failed. An agent that cannot send shows it only where it is scraped.',
    unit: 'suffix:/s',
    width: 8,
    queries: [
      {
        expr: sumBy(['instance', 'status'], rateOf('kvm_exit_exporter_otlp_requests_total')),
        legend: '{{status}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Time of one export over OTLP',
    description:
      'Average time of one export, from its snapshot to the answer to its last request. It must be shorter than --otlp.interval. Incomplete exports are in.',
    unit: 's',
    width: 8,
    queries: [
      {
        expr: `${sumBy(['instance'], rateOf('kvm_exit_exporter_otlp_export_seconds_total'))} / (${sumBy(['instance'], rateOf('kvm_exit_exporter_otlp_exports_total'))} > 0)`,
        legend: '{{instance}}',
      },
    ],
  }),
  graph({
    title: 'Series sent over OTLP',
    description:
      'Series in the latest export; a histogram counts as one. With delta temporality these are only the series that changed.',
    unit: 'short',
    width: 8,
    queries: [
      { expr: sumBy(['instance'], series('kvm_exit_exporter_otlp_series', OF_INSTANCES)), legend: '{{instance}}' },
    ],
  }),
];

export const exporter = build({
  uid: UID.exporter,
  title: 'KVM exits / Exporter',
  description: 'Health and cost of the kvm-exit-exporter agents, on which the other dashboards depend.',
  source: 'exporter.ts',
  rows: [
    { title: 'Health', panels: health },
    { title: 'Reading', panels: reading },
    { title: 'Loss', panels: loss },
    { title: "Checked against KVM's own statistics", panels: audit },
    { title: 'Sampling', panels: sampling },
    { title: 'Cost', panels: cost },
    { title: 'Export over OTLP', panels: otlp },
  ],
});
