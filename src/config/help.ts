/** The text of --help, from the lists of commands and options. */
import { COMMANDS, type CommandName } from './commands.js';
import { variableOf } from './environment.js';
import { isToggle, OPTIONS, type Option } from './options.js';

const MAX_WIDTH = 90;

/** Titles by the first word of an option. All other options choose what single commands do. */
const TITLES: Readonly<Record<string, string>> = {
  path: 'paths',
  tracefs: "the kernel's trace",
  collector: 'what to count',
  advice: 'what to change',
  vm: 'VMs',
  qemu: "QEMU's own traces",
  kubernetes: 'Kubernetes',
  web: 'web server',
  otlp: 'OTLP',
  limit: 'limits',
  config: 'configuration',
  log: 'log',
};

const SEVERAL = 'for several commands';

const SUMMARY = 'Count the VM exits on KVM hosts: how many reach QEMU, of which VM, why, and what they cost.';
const LAYERS = `Each option can also be set by an environment variable (--log.level: ${variableOf('log.level')}) or in the file that --config.file names (log.level: debug). Flags override variables, and variables override the file.`;

/** @param command shows the options of this command only */
export function helpText(command?: string): string {
  const own = COMMANDS.find(({ name }) => name === command);
  const options: Option[] = OPTIONS.filter((option: Option) => own === undefined || option.commands.includes(own.name));
  const usage =
    own === undefined ? 'COMMAND [--option=value ...] [ARGUMENT ...]' : `${own.name} [--option=value ...] ${own.usage}`;
  const commands = COMMANDS.flatMap(({ name, usage, help }) => [`  ${name} ${usage}`.trimEnd(), ...wrapped(help, 8)]);
  return [
    ...wrapped(own?.help ?? SUMMARY, 0),
    '',
    `usage: kvm-exit-exporter ${usage}`.trimEnd(),
    ...(own === undefined ? ['', 'commands:', ...commands] : []),
    ...[...(own === undefined ? groupByTitle(options) : ownFirst(options))].flatMap(([title, group]) => [
      '',
      `${title}:`,
      ...group.flatMap((option) => entry(option, own?.name)),
    ]),
    '',
    'general:',
    '  --help, --version, --licenses',
    ...wrapped(
      'COMMAND --help shows the options of one command. --licenses prints the licences of the program and of all that it consists of.',
      8,
    ),
    '',
    ...wrapped(LAYERS, 0),
    '',
  ].join('\n');
}

/** The options by title, each once: those with a title of TITLES, those of several commands, those of one command. */
export function groupByTitle(options: readonly Option[]): Map<string, Option[]> {
  const titles = [...Object.values(TITLES), SEVERAL, ...COMMANDS.map(({ name }) => `only for ${name}`)];
  return new Map(
    titles
      .map((title) => [title, options.filter((option) => titleOf(option) === title)] as const)
      .filter(([, group]) => group.length > 0),
  );
}

function titleOf(option: Option): string {
  const [command, ...more] = option.commands;
  return TITLES[firstWord(option)] ?? (more.length > 0 ? SEVERAL : `only for ${command}`);
}

/** As {@link groupByTitle}, for the options of one command: those without a title of TITLES come first. */
function ownFirst(options: readonly Option[]): Map<string, Option[]> {
  const own = options.filter(isUntitled);
  const rest = groupByTitle(options.filter((option) => !isUntitled(option)));
  return own.length === 0 ? rest : new Map([['options', own], ...rest]);
}

function firstWord({ flag }: Option): string {
  return flag.split('.')[0] ?? '';
}

function isUntitled(option: Option): boolean {
  return !Object.hasOwn(TITLES, firstWord(option));
}

function entry(option: Option, command: CommandName | undefined): string[] {
  const { flag, short, type, required, help, commands } = option;
  const { placeholder } = type;
  const brief = short === undefined ? '' : `-${short} ${placeholder}, `;
  const left = isToggle(option) ? `  --[no-]${flag}` : `  ${brief}--${flag}=${placeholder}`;
  const users = command === undefined && !titleOf(option).startsWith('only') ? ` (${commands.join(', ')})` : '';
  const need = required === true ? ' Required.' : '';
  return [left, ...wrapped(`${help}${need}${defaultsText(option, command)}${users}`, 8)];
}

/** ` Default: 5m; demo: 20s.`; '' if there is none. */
export function defaultsText({ default: shared, defaults = {} }: Option, command?: CommandName): string {
  const own = (command === undefined ? undefined : defaults[command]) ?? shared;
  if (own === undefined) return '';
  const special = command === undefined ? Object.entries(defaults).map(([name, text]) => `; ${name}: ${text}`) : [];
  return ` Default: ${own}${special.join('')}.`;
}

function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = ' '.repeat(indent);
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > MAX_WIDTH) {
      lines.push(line);
      line = ' '.repeat(indent);
    }
    line += line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}
