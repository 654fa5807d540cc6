/** Every command, once: the command line, --help and the table that cli.ts starts them from derive from this list. */

export interface Command {
  readonly name: string;
  /** The operands, as --help shows them after the options; '' for none. */
  readonly usage: string;
  /** True if a program and its arguments may follow after `--`. */
  readonly takesProgram?: true;
  readonly help: string;
}

export const COMMANDS = [
  {
    name: 'run',
    usage: '',
    help: 'Count the VM exits on this host and serve them on /metrics. This is the command if none is given.',
  },
  {
    name: 'top',
    usage: '',
    help: 'Show the VMs of this host live in the terminal, the worst one first: exits, times, reasons, devices and findings. Enter opens a VM, h shows the keys. --url watches a running agent instead, without root.',
  },
  {
    name: 'stat',
    usage: '[DURATION] [-- PROGRAM [ARGUMENT...]]',
    takesProgram: true,
    help: 'Count for a while (default: 5s), or as long as PROGRAM runs, and print what report prints: rates, reasons, devices and findings of each VM. With PROGRAM, the answer goes to standard error, and the exit code is that of PROGRAM. Needs root, as run does.',
  },
  {
    name: 'report',
    usage: 'PATH...',
    help: 'Count the VM exits in recordings and print them, with the share that reached QEMU. PATH - is standard input, which is counted until it ends, or until Ctrl-C.',
  },
  {
    name: 'record',
    usage: '',
    help: "Save the events of this host's VMs to a file, for report on this or another machine.",
  },
  {
    name: 'check',
    usage: '',
    help: 'Print what run needs from this host, what is missing and how to provide it. Exit code 0 if nothing is missing.',
  },
  {
    name: 'events',
    usage: 'TRACE_EVENTS_ALL',
    help: "Print the names of QEMU's trace events, one per line, for -trace events=FILE. TRACE_EVENTS_ALL is a file among QEMU's data files.",
  },
  {
    name: 'qemu',
    usage: 'enable|disable|status [EVENT...]',
    help: 'Switch trace events of a running QEMU on or off, or show their state. EVENT is a name or a pattern. Without EVENT, enable and disable switch the events that this program understands, and status lists those that are on.',
  },
  {
    name: 'demo',
    usage: '',
    help: 'Replay the bundled recording of two VMs in a loop and serve its /metrics. Needs no KVM and no root.',
  },
  {
    name: 'healthcheck',
    usage: '',
    help: 'Ask the agent on this host whether it is alive. Exit code 0 if it answers, else 1 and the reason. It finds the address where run does: in variables and in the configuration file; flags of run have to be repeated. It needs no password, and verifies no certificate.',
  },
  {
    name: 'completion',
    usage: 'bash|zsh|fish',
    help: 'Print a script that makes a shell complete commands, options and values: source <(kvm-exit-exporter completion bash).',
  },
] as const satisfies readonly Command[];

export type CommandName = (typeof COMMANDS)[number]['name'];
