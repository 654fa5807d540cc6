/** The table of options for people: `--help` and the README. */
import { variableOf } from './environment.js';
import { COMMANDS, type CommandName, OPTIONS, type Option } from './options.js';

const WIDTH = 90;

/** By the first word of an option; options of one command alone have none. */
const GROUPS: Readonly<Record<string, string>> = {
  path: 'where things are',
  tracefs: "the kernel's trace",
  collector: 'what is counted',
  vm: 'VMs',
  qemu: "QEMU's own traces",
  limit: 'limits',
  web: 'web server',
  otlp: 'OTLP',
  log: 'log',
  config: 'configuration',
};

/** Of all commands, or of one. */
export function helpText(command?: string): string {
  const own = COMMANDS.find(({ name }) => name === command);
  const options: Option[] = OPTIONS.filter((option: Option) => own === undefined || option.commands.includes(own.name));
  const usage =
    own === undefined ? 'COMMAND [--option=value ...] [ARGUMENT ...]' : `${own.name} [--option=value ...] ${own.usage}`;
  const commands = COMMANDS.flatMap(({ name, usage, help }) => [`  ${name} ${usage}`.trimEnd(), ...wrapped(help, 8)]);
  return [
    ...wrapped(own?.help ?? 'How many VM exits end up in QEMU, of which VM, why, and what do they cost?', 0),
    '',
    `usage: kvm-exit-exporter ${usage}`.trimEnd(),
    ...(own === undefined ? ['', 'commands:', ...commands] : []),
    ...[...grouped(options)].flatMap(([title, group]) => [
      '',
      `${title}:`,
      ...group.flatMap((option) => entry(option, own?.name)),
    ]),
    '',
    'others:',
    '  --help, --version',
    ...wrapped('COMMAND --help shows the options of one command.', 8),
    '',
    ...wrapped(
      'Each option can also be an environment variable (--log.level: KVM_EXIT_EXPORTER_LOG_LEVEL) or stand in the file that --config.file names ' +
        '(log.level: debug). Flags go before variables, variables before the file.',
      0,
    ),
    '',
  ].join('\n');
}

const OF_ONE = 'only of';

/** Those of one command come last. */
function grouped(options: readonly Option[]): Map<string, Option[]> {
  const groups = new Map<string, Option[]>();
  const isOfOne = (option: Option) => Number(groupOf(option).startsWith(OF_ONE));
  for (const option of [...options].sort((a, b) => isOfOne(a) - isOfOne(b)))
    groups.set(groupOf(option), [...(groups.get(groupOf(option)) ?? []), option]);
  return groups;
}

function groupOf({ flag, commands }: Option): string {
  const [first = '', ...more] = flag.split('.');
  return (more.length > 0 ? GROUPS[first] : undefined) ?? `${OF_ONE} ${commands.join(', ')}`;
}

function entry(option: Option, command: CommandName | undefined): string[] {
  const { flag, short, type, value = '', help, commands } = option;
  const brief = short === undefined ? '' : `-${short} ${value}, `;
  const left = type === 'boolean' ? `  --[no-]${flag}` : `  ${brief}--${flag}=${value}`;
  const of = command === undefined && !groupOf(option).startsWith(OF_ONE) ? ` (${commands.join(', ')})` : '';
  return [left, ...wrapped(`${help}${presets(option, command)}${of}`, 8)];
}

function presets({ default: preset, defaults = {} }: Option, command: CommandName | undefined): string {
  if (command !== undefined) return (defaults[command] ?? preset) ? ` Default: ${defaults[command] ?? preset}.` : '';
  if (preset === undefined) return '';
  const others = Object.entries(defaults).map(([name, other]) => `; ${name}: ${other}`);
  return ` Default: ${preset}${others.join('')}.`;
}

function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = ' '.repeat(indent);
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' '.repeat(indent);
    }
    line += line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** Markdown, for the README. */
export function optionsTable(): string {
  const rows = [...grouped(OPTIONS)].flatMap(([, options]) =>
    options.map((option) => {
      const { flag, short, type, value = '', help, commands } = option;
      const name = type === 'boolean' ? `--[no-]${flag}` : `--${flag}=${value}`;
      const brief = short === undefined ? '' : `, \`-${short}\``;
      const preset = option.default === undefined ? '' : `\`${option.default}\``;
      return [
        `\`${name}\`${brief}`,
        `\`${variableOf(flag).replace(/^KVM_EXIT_EXPORTER_/, '…_')}\``,
        preset,
        help,
        commands.join(', '),
      ];
    }),
  );
  return markdownTable(['option', 'variable', 'default', 'meaning', 'commands'], rows);
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
