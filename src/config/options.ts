/** Every option, once: flags, --help and the README's table derive from this. */

export type CommandName = 'run' | 'report' | 'demo';

export interface Option {
  /** Without the dashes: `path.procfs`. */
  readonly flag: string;
  readonly type: 'string' | 'boolean';
  /** What --help shows for the value. */
  readonly value?: string;
  readonly default?: string;
  readonly help: string;
  readonly commands: readonly CommandName[];
}

export const OPTIONS = [
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
    help: "The host's /proc (default: /proc); for report the saved /proc of the recorded host. Names the VMs.",
    commands: ['run', 'report'],
  },
  {
    flag: 'path.tracefs',
    type: 'string',
    value: 'DIR',
    help: 'Where tracefs is (default: found, and mounted if need be); for report a saved copy of its events/, which pages need.',
    commands: ['run', 'report'],
  },
  {
    flag: 'tracefs.instance',
    type: 'string',
    value: 'NAME',
    default: 'kvm-exit-exporter',
    help: 'Tracing instance to make, use and remove. Two agents on one host need two.',
    commands: ['run'],
  },
  {
    flag: 'tracefs.events',
    type: 'string',
    value: 'SYSTEM:EVENT,...',
    help: 'Tracepoints to enable instead of those that the collectors need; kvm:* for all of KVM.',
    commands: ['run'],
  },
  {
    flag: 'tracefs.buffer-size',
    type: 'string',
    value: 'BYTES',
    default: '16MiB',
    help: "Ring buffer of each host CPU, in the kernel's memory.",
    commands: ['run'],
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
    flag: 'vm.grace-period',
    type: 'string',
    value: 'DURATION',
    default: '5m',
    help: 'How long the series of a stopped VM stay.',
    commands: ['run'],
  },
  {
    flag: 'qemu.trace-events',
    type: 'string',
    value: 'FILE',
    help: "trace-events-all of the recorded QEMU: names the events of simple traces up to version 3, and tells a log's events from other lines.",
    commands: ['report'],
  },
  {
    flag: 'web.listen-address',
    type: 'string',
    value: '[HOST]:PORT',
    default: ':10586',
    help: 'Where to serve /metrics.',
    commands: ['run', 'demo'],
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
    name: 'demo',
    usage: '',
    help: 'Replay the bundled recording of two VMs, again and again, and serve its /metrics.',
  },
];
