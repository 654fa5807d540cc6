/**
 * Every option, once: flags, environment variables, the keys of the file, --help and the options table in the docs
 * derive from this list.
 */

import { RULES } from '../advice/rules.js';
import { LOG_FORMATS, LOG_LEVELS } from '../system/log.js';
import { READER_KINDS } from '../trace/reader-kinds.js';
import type { Command, CommandName } from './commands.js';
import {
  bytes,
  choices,
  count,
  hostNames,
  instanceName,
  listenAddress,
  moment,
  nameFrom,
  type OptionType,
  percentage,
  sampling,
  seconds,
  secondsBetween,
  text,
  toggle,
  tracepoints,
  url,
  urlPath,
} from './option-types.js';

export interface Option {
  /** Without the dashes: `path.procfs`. */
  readonly flag: string;
  /** One letter that does the same: `-o DIR`. */
  readonly short?: string;
  readonly type: OptionType<unknown>;
  /** May be given more than once: the value is a list. */
  readonly multiple?: true;
  /** The commands do not work without it. */
  readonly required?: true;
  /** As a user would write it. */
  readonly default?: string;
  /** Defaults of commands that differ from `default`. */
  readonly defaults?: Partial<Record<CommandName, string>>;
  readonly help: string;
  readonly commands: readonly CommandName[];
}

export const TEMPORALITIES = ['cumulative', 'delta', 'lowmemory'] as const;
export const OTLP_NAMES = ['opentelemetry', 'prometheus'] as const;

const directory = text('DIR');
const file = text('FILE');
const glob = text('GLOB');

export const OPTIONS = [
  {
    flag: 'output',
    short: 'o',
    type: file,
    required: true,
    help: 'File to create for the recording: a trace.dat, which trace-cmd report opens too. It holds the names of the VMs, but no command lines.',
    commands: ['record'],
  },
  {
    flag: 'duration',
    type: seconds,
    help: 'How long to record, such as 10s or 5m (default: until Ctrl-C).',
    commands: ['record'],
  },
  {
    flag: 'format',
    type: choices(['table', 'json', 'csv', 'prometheus']),
    default: 'table',
    help: 'How to print the report: table for people, the rest for programs. stat has table, json and csv; top --batch has table and json.',
    commands: ['report', 'stat', 'top'],
  },
  {
    flag: 'vm',
    type: glob,
    multiple: true,
    help: "Show only VMs whose names match, such as 'web-*'. May be given more than once.",
    commands: ['report', 'stat', 'top'],
  },
  {
    flag: 'sort',
    type: choices(['qemu', 'time', 'share', 'exits', 'name']),
    default: 'qemu',
    help: 'Order of the VMs, the worst one first: by exits to QEMU (qemu), time outside the guest (time), share of exits that reach QEMU (share), exits to KVM (exits), or by name.',
    commands: ['report', 'stat', 'top'],
  },
  {
    flag: 'top',
    type: count(1),
    default: '10',
    help: 'How many VMs the table shows, and how many rows of each VM in every section. Other formats have all rows.',
    commands: ['report', 'stat'],
  },
  {
    flag: 'since',
    type: moment,
    help: 'Count events from this time on: seconds from the start of the recording (5), a duration (500ms, 2m), or @ and seconds on the clock of the trace (@2575.77).',
    commands: ['report'],
  },
  {
    flag: 'until',
    type: moment,
    help: 'Count events before this time; as --since.',
    commands: ['report'],
  },
  {
    flag: 'interval',
    type: secondsBetween('500ms', '1h'),
    default: '2s',
    help: 'Time between two looks. A running agent has new figures every five seconds, with --sampling every ten.',
    commands: ['top'],
  },
  {
    flag: 'batch',
    type: toggle,
    default: 'false',
    help: 'Print the list at intervals, as text or with --format=json as one line each, instead of showing it in the terminal.',
    commands: ['top'],
  },
  {
    flag: 'iterations',
    short: 'n',
    type: count(1),
    help: 'With --batch: how often to print (default: until Ctrl-C).',
    commands: ['top'],
  },
  {
    flag: 'url',
    type: url,
    help: 'Watch the running agent at this address, such as http://host:10586, instead of this host.',
    commands: ['top'],
  },
  {
    flag: 'url.ca-file',
    type: file,
    help: "CA certificates to verify the agent with (default: the system's).",
    commands: ['top'],
  },
  {
    flag: 'url.user',
    type: text('USER'),
    help: 'User for an agent that asks for a password.',
    commands: ['top'],
  },
  {
    flag: 'url.password-file',
    type: file,
    help: 'File with the password of --url.user, in one line.',
    commands: ['top'],
  },
  {
    flag: 'diff',
    type: toggle,
    default: 'false',
    help: 'Print what changed between two recordings, BEFORE and AFTER: rates, shares, time per exit, new and gone reasons and devices.',
    commands: ['report'],
  },
  {
    flag: 'fail-above',
    type: percentage,
    help: 'With --diff: end with exit code 3 if a figure of a VM rose by more than this, such as 10%. The figures are exits per second to QEMU and to KVM, the share that reaches QEMU, and the time lost.',
    commands: ['report'],
  },
  {
    flag: 'path.procfs',
    type: directory,
    help: "Where the host's /proc is mounted (default: /proc). report: the saved /proc of the recorded host (default: the one in the recording). VMs get their names from it.",
    commands: ['run', 'report', 'record', 'check', 'stat', 'top'],
  },
  {
    flag: 'path.tracefs',
    type: directory,
    help: "Where tracefs is mounted (default: searched for, and mounted if it is not). report: the saved tracefs with the formats of a recording's pages (default: the one in the recording).",
    commands: ['run', 'report', 'record', 'check', 'stat', 'top'],
  },
  {
    flag: 'tracefs.instance',
    type: instanceName,
    default: 'kvm-exit-exporter',
    defaults: { record: 'kvm-exit-exporter-record', stat: 'kvm-exit-exporter-stat', top: 'kvm-exit-exporter-top' },
    help: 'Name of the tracing instance, which is created at the start and removed at the end. Two agents on one host need two names.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'tracefs.events',
    type: tracepoints,
    help: 'Tracepoints to enable instead of those that the collectors need, such as kvm:* for all of KVM.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'tracefs.buffer-size',
    type: bytes,
    help: "Size of the ring buffer of each host CPU, in the kernel's memory (default: an equal share of 256MiB for all CPUs together, but at least 1MiB and at most 16MiB). Increase it if events are lost.",
    commands: ['run', 'record', 'check', 'stat', 'top'],
  },
  {
    flag: 'tracefs.reader',
    type: choices(READER_KINDS),
    default: 'auto',
    help: "How to read the ring buffers: binary reads pages; text reads lines, which costs more than thirty times as much CPU; auto is binary if this kernel's pages can be decoded, else text.",
    commands: ['run', 'stat', 'top'],
  },
  {
    flag: 'tracefs.markers',
    type: toggle,
    default: 'true',
    help: "Let the kernel copy the markers of QEMU's ftrace backend into the instance (options/copy_trace_marker, Linux 6.16 or later). Costs nothing if no QEMU writes markers.",
    commands: ['run'],
  },
  {
    flag: 'tracefs.consume-top-level',
    type: toggle,
    default: 'false',
    help: 'If the kernel cannot copy markers, read them from the top-level buffer. Other programs that read that buffer then miss them.',
    commands: ['run'],
  },
  {
    flag: 'collector.kernel',
    type: toggle,
    default: 'true',
    help: "Count from the kernel's trace. --no-collector.kernel needs no tracefs: totals come from KVM's own statistics, and the rest from QEMU's own traces.",
    commands: ['run'],
  },
  {
    flag: 'collector.kvm-stats',
    type: toggle,
    default: 'true',
    help: "Read KVM's own statistics of each VM, every 10 seconds (stat: at its start and end): over the VM's QMP socket (--qemu.qmp), else from debugfs. They cost guests nothing.",
    commands: ['run', 'stat', 'top'],
  },
  {
    flag: 'collector.kvm-stats.all',
    type: toggle,
    default: 'false',
    help: 'Show every statistic that this kernel has, and not only those about exits, halts and memory.',
    commands: ['run', 'stat'],
  },
  {
    flag: 'collector.kvm-stats.virsh',
    type: toggle,
    default: 'false',
    help: "Run virsh -r domstats for VMs whose statistics neither QMP nor debugfs shows: hosts with kernel lockdown, where libvirt holds each VM's only QMP socket.",
    commands: ['run', 'check', 'stat'],
  },
  {
    flag: 'sampling',
    type: sampling,
    default: 'off',
    help: 'Count frequent events only in windows, such as 2s/60s: 2 seconds of each minute; auto: as long as --sampling.budget allows. Exits to userspace are always counted. Of other exits, causes, addresses and durations the figures are estimates, scaled to the totals of --collector.kvm-stats, and one period late.',
    commands: ['run'],
  },
  {
    flag: 'sampling.budget',
    type: percentage,
    default: '1%',
    help: 'With --sampling=auto, the part of its time that the busiest vCPU may spend on sampled events.',
    commands: ['run'],
  },
  {
    flag: 'focus',
    type: glob,
    multiple: true,
    help: "With --sampling, count all events of VMs whose names match, such as 'web-*', at any time. May be given more than once.",
    commands: ['run'],
  },
  {
    flag: 'focus.auto',
    type: count(),
    default: '0',
    help: 'With --sampling, count all events of so many VMs at a time that have a finding of severity warning: each for a minute at most, and not again before that has cost its vCPUs no more than --sampling.budget on average.',
    commands: ['run'],
  },
  {
    flag: 'collector.duration',
    type: toggle,
    default: 'true',
    help: 'Measure how long exits take and how long vCPUs are outside their guests.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'collector.causes',
    type: toggle,
    default: 'true',
    help: 'Count which hardware exit led to which userspace exit.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'collector.io',
    type: toggle,
    default: 'true',
    help: 'Count accesses to each port and each MMIO page.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'collector.eventfd',
    type: toggle,
    default: 'true',
    help: 'Count ioeventfd kicks, and interrupts that come from outside the vCPU threads.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'collector.indices',
    type: toggle,
    default: 'false',
    help: 'Count which MSR, CPUID leaf and hypercall, page faults by kind, exits of nested guests, and what keeps APICv off. Each is one event more per such exit.',
    commands: ['run', 'record', 'stat', 'top'],
  },
  {
    flag: 'collector.io.addresses',
    type: count(),
    default: '20',
    help: 'How many addresses of each VM have series of their own: the busiest ones. The rest is summed.',
    commands: ['run'],
  },
  {
    flag: 'advice.disable',
    type: nameFrom(
      RULES.map(({ id }) => id),
      'docs/advice',
    ),
    multiple: true,
    help: 'Advice that is not wanted, by its name in docs/advice.',
    commands: ['run', 'demo', 'report', 'stat', 'top'],
  },
  {
    flag: 'advice.lasting',
    type: secondsBetween('1s', '1d'),
    default: '5m',
    defaults: { demo: '10s', top: '10s' },
    help: 'How long a finding has to last before it is shown.',
    commands: ['run', 'demo', 'top'],
  },
  {
    flag: 'vm.grace-period',
    type: seconds,
    default: '5m',
    help: 'How long the series of a stopped VM are kept; those of at most 256 VMs for more than ten seconds.',
    commands: ['run'],
  },
  {
    flag: 'qemu.log',
    type: glob,
    multiple: true,
    help: "QEMU logs to follow (-trace kvm_run_exit -D FILE), such as '/var/log/libvirt/qemu/*.log'. May be given more than once.",
    commands: ['run'],
  },
  {
    flag: 'qemu.log.any-event',
    type: toggle,
    default: 'false',
    help: "Count every event of a log under its name. By default, names that are neither in QEMU's trace-events-all nor known to this program are counted together as other, so that no line of a log becomes a label.",
    commands: ['run'],
  },
  {
    flag: 'qemu.simple',
    type: glob,
    multiple: true,
    help: "Simple traces of QEMU to follow (-trace ...,file=FILE), such as '/var/lib/qemu/trace-*'. May be given more than once. QEMU writes them in blocks, so the events of a quiet VM arrive minutes late.",
    commands: ['run'],
  },
  {
    flag: 'qemu.trace-events',
    type: file,
    help: "QEMU's trace-events-all. It names the events of simple traces up to version 3, and tells events from other lines of a log. Default for run: the one among this host's QEMU's data files, for names only.",
    commands: ['run', 'report'],
  },
  {
    flag: 'qemu.qmp',
    type: glob,
    multiple: true,
    help: "QMP sockets to ask for KVM's own statistics of a VM, and for the names of its devices (info mtree -f), such as '/run/qemu/*/agent.sock'. Not libvirt's own socket: a socket serves one client at a time. May be given more than once.",
    commands: ['run', 'check', 'stat', 'top'],
  },
  {
    flag: 'kubernetes',
    type: toggle,
    default: 'false',
    help: "Ask the cluster's API server for the pods of the VMs. The agent runs in a pod, and its service account may list and watch pods.",
    commands: ['run', 'check'],
  },
  {
    flag: 'kubernetes.node',
    type: text('NODE'),
    help: "This node's name in the cluster; the API server is asked for the pods of this node only (default: K8S_NODE_NAME, which the manifest sets from spec.nodeName).",
    commands: ['run', 'check'],
  },
  {
    flag: 'kubernetes.api-server',
    type: url,
    help: "The API server (default: that of the pod's own cluster). The token is not sent to http://..., which is for kubectl proxy.",
    commands: ['run', 'check'],
  },
  {
    flag: 'kubernetes.token-file',
    type: file,
    help: "File with the bearer token, read again for each request (default: the service account's token).",
    commands: ['run', 'check'],
  },
  {
    flag: 'kubernetes.ca-file',
    type: file,
    help: "CA certificates to verify the API server with (default: the service account's).",
    commands: ['run', 'check'],
  },
  {
    flag: 'pattern',
    type: glob,
    default: '*',
    help: "Print only events whose names match, such as 'kvm_*'.",
    commands: ['events'],
  },
  {
    flag: 'used',
    type: toggle,
    default: 'false',
    help: 'Print only events that this program understands.',
    commands: ['events'],
  },
  {
    flag: 'qmp',
    type: text('SOCKET'),
    required: true,
    help: 'QMP socket of the running QEMU (-qmp unix:SOCKET,server=on,wait=off).',
    commands: ['qemu'],
  },
  {
    flag: 'web.listen-address',
    type: listenAddress,
    multiple: true,
    default: ':10586',
    help: 'Where to serve /metrics. May be given more than once.',
    commands: ['run', 'demo', 'healthcheck'],
  },
  {
    flag: 'web.allowed-hosts',
    type: hostNames,
    multiple: true,
    help: 'More names under which clients may ask for this agent, such as metrics.example.com, *.example.com, or * for any. Addresses, localhost, the names of this machine and of the certificate are always allowed. May be given more than once.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.telemetry-path',
    type: urlPath,
    default: '/metrics',
    help: 'Path of the metrics.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.config.file',
    type: file,
    help: "TLS, client certificates, passwords and headers: Prometheus' web configuration file. Read again when it, or a certificate in it, changes.",
    commands: ['run', 'demo', 'healthcheck'],
  },
  {
    flag: 'web.max-requests',
    type: count(),
    default: '40',
    help: 'How many scrapes may be in progress at once; further ones get status 503. 0 means no limit.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.disable-exporter-metrics',
    type: toggle,
    default: 'false',
    help: 'Leave out the metrics about this program itself, process_* and nodejs_*.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.endpoint',
    type: url,
    help: 'Send metrics over OTLP (http/protobuf) to this URL, such as http://collector:4318; /v1/metrics is appended (default: from OTEL_EXPORTER_OTLP_*; without them nothing is sent).',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.interval',
    type: secondsBetween('100ms', '24h'),
    help: 'Time between two exports over OTLP (default: OTEL_METRIC_EXPORT_INTERVAL, else 30s).',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.temporality',
    type: choices(TEMPORALITIES),
    help: 'Send totals since the start (cumulative), or differences since the last export (delta; lowmemory: of histograms only). Default: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, else cumulative.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.metric-names',
    type: choices(OTLP_NAMES),
    default: 'opentelemetry',
    help: 'Names of metrics over OTLP: opentelemetry (kvm.exits), or prometheus (kvm_exits_total), for receivers that do not translate them or leave out suffixes.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.series',
    type: count(100),
    default: '200000',
    help: 'Maximum number of series. VMs beyond it are summed as vm="other".',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.series-per-vm',
    type: count(100),
    default: '2000',
    help: 'Maximum number of series of each VM. What is beyond it is summed in series of the same VM with "other" as label.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.label-length',
    type: count(32),
    default: '128',
    help: 'Maximum length of a label value, in characters. Longer values are cut and marked.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'config.file',
    type: file,
    help: 'Read options from this YAML file. Environment variables override it, flags override both.',
    commands: ['run', 'record', 'check', 'demo', 'healthcheck', 'stat', 'top'],
  },
  {
    flag: 'log.level',
    type: choices(LOG_LEVELS),
    default: 'info',
    defaults: { stat: 'warn', top: 'error' },
    help: 'Log messages of this level and above, to stderr.',
    commands: ['run', 'record', 'check', 'demo', 'stat', 'top'],
  },
  {
    flag: 'log.format',
    type: choices(LOG_FORMATS),
    default: 'logfmt',
    help: 'Format of the log lines.',
    commands: ['run', 'record', 'check', 'demo', 'stat', 'top'],
  },
] as const satisfies readonly Option[];

export type Flag = (typeof OPTIONS)[number]['flag'];

type Entry<F extends Flag> = Extract<(typeof OPTIONS)[number], { readonly flag: F }>;
type ValueOf<E> = E extends { readonly type: OptionType<infer T> } ? T : never;

type HasValue = { readonly default: string } | { readonly required: true };

/**
 * The type of an option's value: a list if it may be given more than once; possibly undefined or empty if it has no
 * default.
 */
export type OptionValue<F extends Flag> =
  Entry<F> extends { readonly multiple: true }
    ? Entry<F> extends HasValue
      ? readonly [ValueOf<Entry<F>>, ...ValueOf<Entry<F>>[]]
      : readonly ValueOf<Entry<F>>[]
    : Entry<F> extends HasValue
      ? ValueOf<Entry<F>>
      : ValueOf<Entry<F>> | undefined;

/** The value of an option: as given, else its default. */
export type GetOption = <F extends Flag>(flag: F) => OptionValue<F>;

export function optionsOf(command: Command): Option[] {
  return OPTIONS.filter(({ commands }: Option) => commands.some((name) => name === command.name));
}

/** True for `--name` and `--no-name`, which need no value. */
export function isToggle({ type }: Option): boolean {
  return type === toggle;
}
