/** docs/kvm-exit-exporter.1, the page that `man kvm-exit-exporter` shows: what --help says, with examples and files. */
import { COMMANDS } from '../../src/config/commands.js';
import { variableOf } from '../../src/config/environment.js';
import { defaultsText, groupByTitle } from '../../src/config/help.js';
import { isToggle, OPTIONS, type Option } from '../../src/config/options.js';
import { VERSION } from '../../src/system/version.js';

const EXAMPLES = [
  ['kvm-exit-exporter check', 'What this host allows, and what it lacks.'],
  ['kvm-exit-exporter run --web.listen-address=127.0.0.1:10586', 'The agent, for this host only.'],
  ['kvm-exit-exporter record -o vms.dat --duration=10s', 'Record the VMs of this host for ten seconds.'],
  ['kvm-exit-exporter report vms.dat', 'Count the exits in the recording.'],
  ['kvm-exit-exporter report --diff --fail-above=10% before.dat after.dat', 'Fail if a figure rose by more than 10 %.'],
] as const;

const FILES = [
  ['/etc/kvm-exit-exporter/config.yml', 'Options of the service, as YAML. systemctl reload reads it again.'],
  ['/etc/default/kvm-exit-exporter', 'Environment variables of the service.'],
  ['/sys/kernel/tracing/instances/kvm-exit-exporter', 'The tracing instance, while the agent runs.'],
] as const;

const EXIT_CODES = [
  ['0', 'Success.'],
  ['1', 'A bug of the program; healthcheck: the agent is not healthy.'],
  ['2', 'A problem that the message explains.'],
  ['3', 'A figure rose above --fail-above.'],
] as const;

export function manPage(): string {
  return [
    `.TH KVM\\-EXIT\\-EXPORTER 1 "" "kvm\\-exit\\-exporter ${roff(VERSION)}"`,
    '.SH NAME',
    'kvm\\-exit\\-exporter \\- count the VM exits of KVM guests, and what they cost',
    '.SH SYNOPSIS',
    '.B kvm\\-exit\\-exporter',
    '[\\fICOMMAND\\fR]',
    '[\\fB\\-\\-\\fIoption\\fB=\\fIvalue\\fR ...]',
    '[\\fIARGUMENT\\fR ...]',
    '.SH DESCRIPTION',
    line(
      'How many VM exits end up in QEMU, of which VM, why, and what do they cost? The agent counts them on a host, all day, and serves the counts to Prometheus on /metrics. Other commands count recordings, record, and say what this host allows.',
    ),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(({ name, usage, help }) => [
      '.TP',
      `\\fB${roff(name)}\\fR${usage === '' ? '' : ` ${roff(usage)}`}`,
      line(help),
    ]),
    '.SH OPTIONS',
    line(
      `Each option can also be set by an environment variable (${variableOf('log.level')} for --log.level) or in the file that --config.file names (log.level: debug). Flags override variables, and variables override the file. The commands that know an option stand in parentheses.`,
    ),
    ...[...groupByTitle(OPTIONS)].flatMap(([title, options]) => [`.SS ${roff(title)}`, ...options.flatMap(entry)]),
    '.SS general',
    ...list([
      ['--help', 'Show the options of a command.'],
      ['--version', 'Show the version.'],
      ['--licenses', 'Show the licences of the program and of all that it consists of.'],
    ]),
    '.SH EXIT STATUS',
    ...list(EXIT_CODES),
    '.SH FILES',
    ...list(FILES),
    '.SH EXAMPLES',
    ...list(EXAMPLES),
    '.SH SEE ALSO',
    '.BR qemu\\-system\\-x86_64 (1),',
    '.BR perf\\-kvm (1),',
    '.BR trace\\-cmd (1)',
    '.PP',
    'https://github.com/kvm\\-exit\\-exporter/kvm\\-exit\\-exporter',
    '',
  ].join('\n');
}

function entry(option: Option): string[] {
  const { flag, short, type, required, help, commands } = option;
  const value = `=\\fI${roff(type.placeholder)}\\fR`;
  const name = isToggle(option)
    ? `\\fB\\-\\-\\fR[\\fBno\\-\\fR]\\fB${roff(flag)}\\fR`
    : `\\fB\\-\\-${roff(flag)}\\fR${value}`;
  const brief = short === undefined ? '' : `\\fB\\-${short}\\fR \\fI${roff(type.placeholder)}\\fR, `;
  const need = required === true ? ' Required.' : '';
  return ['.TP', `${brief}${name}`, line(`${help}${need}${defaultsText(option)} (${commands.join(', ')})`)];
}

function list(entries: readonly (readonly [name: string, text: string])[]): string[] {
  return entries.flatMap(([name, text]) => ['.TP', `\\fB${roff(name)}\\fR`, line(text)]);
}

/** A line of text: one that begins with a dot or an apostrophe would be a request to the formatter. */
function line(text: string): string {
  return roff(text).replace(/^[.']/, '\\&$&');
}

/** A hyphen stays the character that users type, and so does an apostrophe. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
}
