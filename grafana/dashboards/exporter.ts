/** KVM exits / Exporter: whether the agents can be believed, and what they cost. */

import { series, sumBy } from '../promql.js';
import { build, OF_INSTANCES, rate, UID } from './dashboard.js';
import { graph, type Panel, stat, table } from './panels.js';

const of = (name: string) => rate(name, OF_INSTANCES);
const BY_SOURCE = ['instance', 'source'];

const events = sumBy(BY_SOURCE, of('kvm_exit_exporter_events_total'));
const lost = of('kvm_exit_exporter_lost_events_total');
const drain = of('kvm_exit_exporter_drain_seconds_total');
const drains = of('kvm_exit_exporter_drains_total');

const health: Panel[] = [
  stat({
    title: 'Agents that answer',
    description: 'Targets of the chosen jobs that Prometheus can scrape.',
    unit: 'none',
    width: 4,
    query: `sum(${series('up', OF_INSTANCES)})`,
  }),
  stat({
    title: 'Agents that do not',
    description: 'Targets that do not answer: their hosts are not watched at all.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${series('up', OF_INSTANCES)} == 0) or vector(0)`,
  }),
  stat({
    title: 'Sources that are down',
    description: 'Sources (kernel trace, QEMU logs ...) that an agent should read and cannot. Should be none.',
    unit: 'none',
    width: 4,
    limits: [1, 2],
    query: `count(${series('kvm_exit_exporter_source_up', OF_INSTANCES)} == 0) or vector(0)`,
  }),
  stat({
    title: 'Events',
    description: 'Events decoded a second, all agents and sources together.',
    unit: 'cps',
    width: 4,
    query: `sum(${of('kvm_exit_exporter_events_total')})`,
  }),
  stat({
    title: 'Share of events lost',
    description: 'Of all events, those that were overwritten in the ring buffers before an agent read them.',
    unit: 'percentunit',
    width: 4,
    limits: [0.0001, 0.001],
    query: `(sum(${lost}) or vector(0)) / (sum(${of('kvm_exit_exporter_events_total')}) + (sum(${lost}) or vector(0)))`,
  }),
  stat({
    title: 'CPU of all agents',
    description: 'Cores that the agents use, all hosts together.',
    unit: 'short',
    width: 4,
    query: `sum(${of('process_cpu_seconds_total')})`,
  }),
];

const reading: Panel[] = [
  graph({
    title: 'Sources',
    description:
      '1: open and read. 0: it should be read and is not. A source that disappears from here is not configured any more.',
    unit: 'bool_yes_no',
    width: 8,
    max: 1,
    queries: [{ expr: series('kvm_exit_exporter_source_up', OF_INSTANCES), legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'Events decoded',
    description:
      'Events a second, by source. It falls to nothing while VMs run: the source is dry, or somebody else took the tracepoints.',
    unit: 'cps',
    width: 8,
    queries: [{ expr: events, legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'Tracepoints',
    description:
      'Hits of each kvm tracepoint, host-wide: what perf stat -e kvm:* -a would count. kvm_exit and kvm_entry should be alike.',
    unit: 'cps',
    width: 8,
    queries: [{ expr: sumBy(['tracepoint'], of('kvm_tracepoint_hits_total')), legend: '{{tracepoint}}' }],
  }),
  graph({
    title: 'Time spent draining',
    description:
      'Share of one core spent reading and counting. Near 1 the agent cannot keep up, and events are lost next.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: sumBy(BY_SOURCE, drain), legend: '{{source}} on {{instance}}' }],
  }),
  graph({
    title: 'One drain takes',
    description:
      'Average time of one pass over the buffers. While it runs nothing else does, so it is also the least time that a scrape may have to wait.',
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
      'Unpaired: no entry was seen after the exit, or events were lost in between. Unattributed: the thread belongs to no VM that is known; counted under vm="".',
    unit: 'cps',
    width: 8,
    queries: [
      {
        expr: sumBy(['instance', 'layer'], of('kvm_exit_exporter_unpaired_exits_total')),
        legend: 'unpaired in {{layer}} on {{instance}}',
      },
      {
        expr: sumBy(['instance'], of('kvm_exit_exporter_unattributed_events_total')),
        legend: 'unattributed on {{instance}}',
      },
    ],
  }),
];

const loss: Panel[] = [
  graph({
    title: 'Events lost',
    description:
      'Events a second known to be overwritten before they were read, by host CPU. Give the ring buffers more memory (--tracefs.buffer-size), or the agent more CPU.',
    unit: 'cps',
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
    description: 'Times a second that events are missing and the source does not say how many.',
    unit: 'cps',
    width: 8,
    queries: [
      {
        expr: `${sumBy(BY_SOURCE, of('kvm_exit_exporter_unknown_gaps_total'))} > 0`,
        legend: '{{source}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'Malformed input',
    description:
      'Pieces a second that could not be decoded, by kind. A few after a crash of QEMU are normal; a steady rate is a format that the agent does not know: please report it.',
    unit: 'cps',
    width: 8,
    queries: [
      {
        expr: `${sumBy(['instance', 'source', 'kind'], of('kvm_exit_exporter_malformed_total'))} > 0`,
        legend: '{{source}} {{kind}} on {{instance}}',
      },
    ],
  }),
];

const cost: Panel[] = [
  graph({
    title: 'Series',
    description:
      'Series that each agent exposes, but for those of its own process. Bounded by --limit.series and --limit.series-per-vm; what finds no room is summed as "other".',
    unit: 'short',
    width: 12,
    queries: [{ expr: sumBy(['instance'], series('kvm_exit_exporter_series', OF_INSTANCES)), legend: '{{instance}}' }],
  }),
  graph({
    title: 'Series that found no room',
    description:
      'Series a second that got no place of their own, by the limit that was reached: series (in all) or series_per_vm. They are summed as "other". Nothing here is as it should be.',
    unit: 'cps',
    width: 12,
    queries: [
      {
        expr: `${sumBy(['instance', 'limit'], of('kvm_exit_exporter_series_limited_total'))} > 0`,
        legend: '{{limit}} on {{instance}}',
      },
    ],
  }),
  graph({
    title: 'CPU',
    description:
      'Cores that each agent uses. About a tenth of a microsecond for each event, plus a little for scrapes.',
    unit: 'percentunit',
    width: 8,
    queries: [{ expr: sumBy(['instance'], of('process_cpu_seconds_total')), legend: '{{instance}}' }],
  }),
  graph({
    title: 'Memory',
    description:
      'Resident memory. It grows with the number of live series, not with events; a steady climb is a bug: please report it. The ring buffers are in the kernel and not in here.',
    unit: 'bytes',
    width: 8,
    queries: [{ expr: series('process_resident_memory_bytes', OF_INSTANCES), legend: '{{instance}}' }],
  }),
  graph({
    title: 'Event loop lag (p99)',
    description: 'How late the agent gets to its work. High: it does too much at once, or the host starves it.',
    unit: 's',
    width: 8,
    queries: [{ expr: series('nodejs_eventloop_lag_p99_seconds', OF_INSTANCES), legend: '{{instance}}' }],
  }),
  table({
    title: 'Versions',
    description: 'Which agent runs where, on which Node.js.',
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

export const exporter = build({
  uid: UID.exporter,
  title: 'KVM exits / Exporter',
  description: 'Health and cost of the kvm-exit-exporters: whether the other dashboards can be believed.',
  rows: [
    { title: 'Health', panels: health },
    { title: 'Reading', panels: reading },
    { title: 'What is missing', panels: loss },
    { title: 'Cost', panels: cost },
  ],
});
