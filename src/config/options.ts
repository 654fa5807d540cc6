/** Every option, once: flags, environment variables, the keys of the file, --help and the README's table derive from this. */

export type CommandName = 'run' | 'report' | 'record' | 'check' | 'events' | 'qemu' | 'demo';

export interface Option {
  /** Without the dashes: `path.procfs`. */
  readonly flag: string;
  /** One letter that does the same: `-o DIR`. */
  readonly short?: string;
  readonly type: 'string' | 'boolean';
  /** What --help shows for the value. */
  readonly value?: string;
  /** May be given more than once. */
  readonly multiple?: true;
  /** Of a NUMBER. */
  readonly least?: number;
  readonly default?: string;
  /** Where a command has another one. */
  readonly defaults?: Partial<Record<CommandName, string>>;
  readonly help: string;
  readonly commands: readonly CommandName[];
}

export const OPTIONS = [
  {
    flag: 'output',
    short: 'o',
    type: 'string',
    value: 'DIR',
    help: 'Directory to make and to write the recording to. It will hold the command lines of the VMs, which may hold secrets.',
    commands: ['record'],
  },
  {
    flag: 'duration',
    type: 'string',
    value: 'DURATION',
    help: 'How long to record, such as 10s or 5m (default: until Ctrl-C).',
    commands: ['record'],
  },
  {
    flag: 'format',
    type: 'string',
    value: 'table|json|csv|prometheus',
    default: 'table',
    help: 'How to print the report.',
    commands: ['report'],
  },
  {
    flag: 'path.procfs',
    type: 'string',
    value: 'DIR',
    help: "The host's /proc (default: /proc); for report the saved /proc of the recorded host (default: the one in the recording). Names the VMs.",
    commands: ['run', 'report', 'record', 'check'],
  },
  {
    flag: 'path.tracefs',
    type: 'string',
    value: 'DIR',
    help: 'Where tracefs is (default: found, and mounted if need be); for report a saved copy of it, which pages need (default: the one in the recording).',
    commands: ['run', 'report', 'record', 'check'],
  },
  {
    flag: 'tracefs.instance',
    type: 'string',
    value: 'NAME',
    default: 'kvm-exit-exporter',
    defaults: { record: 'kvm-exit-exporter-record' },
    help: 'Tracing instance to make, use and remove. Two agents on one host need two.',
    commands: ['run', 'record'],
  },
  {
    flag: 'tracefs.events',
    type: 'string',
    value: 'SYSTEM:EVENT,...',
    help: 'Tracepoints to enable instead of those that the collectors need; kvm:* for all of KVM.',
    commands: ['run', 'record'],
  },
  {
    flag: 'tracefs.buffer-size',
    type: 'string',
    value: 'BYTES',
    default: '16MiB',
    help: "Ring buffer of each host CPU, in the kernel's memory.",
    commands: ['run', 'record'],
  },
  {
    flag: 'tracefs.reader',
    type: 'string',
    value: 'auto|binary|text',
    default: 'auto',
    help: 'How to read the buffers: as pages, or as text, which costs much more CPU. auto: pages where they can be decoded.',
    commands: ['run'],
  },
  {
    flag: 'tracefs.markers',
    type: 'boolean',
    default: 'true',
    help: "Have the markers of QEMU's ftrace backend copied to the instance (options/copy_trace_marker, Linux 6.16+). Costs nothing where no QEMU writes any.",
    commands: ['run'],
  },
  {
    flag: 'tracefs.consume-top-level',
    type: 'boolean',
    default: 'false',
    help: 'Where markers cannot be copied, read them from the top-level buffer. That takes them away from others who read it.',
    commands: ['run'],
  },
  {
    flag: 'collector.kernel',
    type: 'boolean',
    default: 'true',
    help: "The kernel's trace. Without it only QEMU's own traces are read, which needs no root and no tracefs.",
    commands: ['run'],
  },
  {
    flag: 'collector.duration',
    type: 'boolean',
    default: 'true',
    help: 'How long exits take, and the time vCPUs are away from their guests.',
    commands: ['run', 'record'],
  },
  {
    flag: 'collector.causes',
    type: 'boolean',
    default: 'true',
    help: 'Which hardware exit led to which userspace exit.',
    commands: ['run', 'record'],
  },
  {
    flag: 'collector.io',
    type: 'boolean',
    default: 'true',
    help: 'Which ports and MMIO pages are accessed.',
    commands: ['run', 'record'],
  },
  {
    flag: 'collector.eventfd',
    type: 'boolean',
    default: 'true',
    help: 'ioeventfd kicks and interrupts from outside the vCPUs.',
    commands: ['run', 'record'],
  },
  {
    flag: 'collector.io.addresses',
    type: 'string',
    value: 'NUMBER',
    default: '20',
    help: 'Addresses of each VM that have series of their own: the busiest; all others are summed.',
    commands: ['run'],
  },
  {
    flag: 'vm.grace-period',
    type: 'string',
    value: 'DURATION',
    default: '5m',
    help: 'How long the series of a stopped VM stay.',
    commands: ['run'],
  },
  {
    flag: 'qemu.log',
    type: 'string',
    value: 'GLOB',
    multiple: true,
    help: "Logs of QEMU to follow (-trace kvm_run_exit -D FILE), such as '/var/log/libvirt/qemu/*.log'. May be given more than once.",
    commands: ['run'],
  },
  {
    flag: 'qemu.simple',
    type: 'string',
    value: 'GLOB',
    multiple: true,
    help: "Simple traces of QEMU to follow (-trace ...,file=FILE), such as '/var/lib/qemu/trace-*'. May be given more than once. QEMU writes them in blocks: a quiet VM's events come minutes late.",
    commands: ['run'],
  },
  {
    flag: 'qemu.trace-events',
    type: 'string',
    value: 'FILE',
    help: "trace-events-all of QEMU: names the events of simple traces up to version 3 (default for run: the one beside QEMU's data files), and tells a log's events from other lines.",
    commands: ['run', 'report'],
  },
  {
    flag: 'qemu.qmp',
    type: 'string',
    value: 'GLOB',
    multiple: true,
    help: "QMP sockets to ask for the names of a VM's devices (info mtree -f), such as '/run/qemu/*/agent.sock'. Not libvirt's own: a socket serves one client at a time. May be given more than once.",
    commands: ['run'],
  },
  {
    flag: 'kubernetes',
    type: 'boolean',
    default: 'false',
    help: "Ask the cluster's API server for the names of the VMs' pods. In a pod; its service account needs list and watch of pods.",
    commands: ['run'],
  },
  {
    flag: 'kubernetes.node',
    type: 'string',
    value: 'NODE',
    help: "This node's name in the cluster: only its pods are asked for (default: K8S_NODE_NAME, which a pod can have from spec.nodeName).",
    commands: ['run'],
  },
  {
    flag: 'kubernetes.api-server',
    type: 'string',
    value: 'URL',
    help: "The API server (default: that of the pod's own cluster). http://... is asked without token, for kubectl proxy.",
    commands: ['run'],
  },
  {
    flag: 'kubernetes.token-file',
    type: 'string',
    value: 'FILE',
    help: "Bearer token to ask with, read for each request (default: the pod's service account).",
    commands: ['run'],
  },
  {
    flag: 'kubernetes.ca-file',
    type: 'string',
    value: 'FILE',
    help: "CA certificates that the API server is checked against (default: the pod's service account has it).",
    commands: ['run'],
  },
  {
    flag: 'pattern',
    type: 'string',
    value: 'GLOB',
    help: "Only events of these names, such as 'kvm_*'.",
    commands: ['events'],
  },
  {
    flag: 'used',
    type: 'boolean',
    default: 'false',
    help: 'Only the events that this program understands.',
    commands: ['events'],
  },
  {
    flag: 'qmp',
    type: 'string',
    value: 'SOCKET',
    help: "A running QEMU's QMP socket (-qmp unix:SOCKET,server=on,wait=off).",
    commands: ['qemu'],
  },
  {
    flag: 'web.listen-address',
    type: 'string',
    value: '[HOST]:PORT',
    multiple: true,
    default: ':10586',
    help: 'Where to serve /metrics. May be given more than once.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.telemetry-path',
    type: 'string',
    value: 'PATH',
    default: '/metrics',
    help: 'Path of the metrics.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.config.file',
    type: 'string',
    value: 'FILE',
    help: "TLS, client certificates, passwords and headers: Prometheus' web configuration file. Read again when it or a certificate in it changes.",
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.max-requests',
    type: 'string',
    value: 'NUMBER',
    default: '40',
    help: 'Scrapes that may be under way at once; others get 503. 0: any number.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'web.disable-exporter-metrics',
    type: 'boolean',
    default: 'false',
    help: 'Leave out process_* and nodejs_*, which are about the program itself.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.endpoint',
    type: 'string',
    value: 'URL',
    help: 'Where to send metrics over OTLP (http/protobuf), such as http://collector:4318; /v1/metrics is added. Default: as OTEL_EXPORTER_OTLP_* say, else nowhere.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.interval',
    type: 'string',
    value: 'DURATION',
    help: 'How often to send (default: OTEL_METRIC_EXPORT_INTERVAL, else 30s).',
    commands: ['run', 'demo'],
  },
  {
    flag: 'otlp.temporality',
    type: 'string',
    value: 'cumulative|delta|lowmemory',
    help: 'Send all since the start, or what came since the last export (default: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, else cumulative).',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.series',
    type: 'string',
    value: 'NUMBER',
    least: 100,
    default: '200000',
    help: 'Series in all. VMs that find no room are summed as vm="other".',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.series-per-vm',
    type: 'string',
    value: 'NUMBER',
    least: 100,
    default: '2000',
    help: 'Series of each VM. What finds no room is summed in series of the same VM with "other" as label.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'limit.label-length',
    type: 'string',
    value: 'NUMBER',
    least: 32,
    default: '128',
    help: 'Longest value of a label, in characters; longer ones are cut and marked.',
    commands: ['run', 'demo'],
  },
  {
    flag: 'config.file',
    type: 'string',
    value: 'FILE',
    help: 'These options in YAML, by name. Environment variables go before it, flags before both.',
    commands: ['run', 'record', 'check', 'demo'],
  },
  {
    flag: 'log.level',
    type: 'string',
    value: 'debug|info|warn|error',
    default: 'info',
    help: 'The least severe messages to log, on stderr.',
    commands: ['run', 'record', 'check', 'demo'],
  },
  {
    flag: 'log.format',
    type: 'string',
    value: 'logfmt|json',
    default: 'logfmt',
    help: 'How to write it.',
    commands: ['run', 'record', 'check', 'demo'],
  },
] as const satisfies readonly Option[];

export type Flag = (typeof OPTIONS)[number]['flag'];

export interface Command {
  readonly name: CommandName;
  /** Its arguments after the options, as --help shows them. */
  readonly usage: string;
  readonly help: string;
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'run',
    usage: '',
    help: 'Count the exits of the VMs on this host and serve /metrics. What is done without a command.',
  },
  { name: 'report', usage: 'PATH...', help: 'How many exits a recording holds, and what share of them reached QEMU.' },
  {
    name: 'record',
    usage: '',
    help: 'Save the events of the VMs on this host to a directory, for report, here or elsewhere.',
  },
  {
    name: 'check',
    usage: '',
    help: 'What this host allows, what it lacks and how to give it. Exit code 0: run has all it needs.',
  },
  {
    name: 'events',
    usage: 'TRACE_EVENTS_ALL',
    help: 'The names of the trace events of a QEMU, a line each, for -trace events=FILE. TRACE_EVENTS_ALL is among its data files.',
  },
  {
    name: 'qemu',
    usage: 'enable|disable|status [EVENT...]',
    help: 'Switch trace events of a running QEMU, or show which are on. EVENT may be a pattern; none: those that this program understands.',
  },
  {
    name: 'demo',
    usage: '',
    help: 'Replay the bundled recording of two VMs, again and again, and serve its /metrics.',
  },
];
