import { parseArgs } from 'node:util';
import { AgentError } from '../agent-error.js';
import { COMMANDS, type Command, type CommandName, type Flag, OPTIONS, type Option } from './options.js';

/** What the command line asks for. */
export interface Invocation {
  readonly command: CommandName | 'help' | 'version';
  /** Value of a flag: given, else its default, else undefined. */
  readonly get: (flag: Flag) => string | undefined;
  /** All values of a flag that may be given more than once. */
  readonly getAll: (flag: Flag) => readonly string[];
  readonly paths: readonly string[];
  /** As it was given. */
  readonly argv: readonly string[];
}

/** @throws AgentError naming every problem of the command line, not only the first */
export function parseCommandLine(argv: readonly string[]): Invocation {
  const [first] = argv;
  const none = { get: () => undefined, getAll: () => [], paths: [], argv };
  if (first === 'help') return { command: 'help', ...none };
  if (argv.includes('--version')) return { command: 'version', ...none };
  if (argv.includes('--help') || argv.includes('-h')) return { command: 'help', ...none };
  if (first === undefined || first.startsWith('-')) return parseFlags(commandNamed('run'), argv, argv);
  return parseFlags(commandNamed(first), argv.slice(1), argv);
}

function commandNamed(given: string): Command {
  const command = COMMANDS.find(({ name }) => name === given);
  if (command !== undefined) return command;
  throw new AgentError(
    unknown(
      'command',
      given,
      COMMANDS.map(({ name }) => name),
    ),
  );
}

function parseFlags(command: Command, args: readonly string[], argv: readonly string[]): Invocation {
  const options: readonly (Option & { flag: Flag })[] = OPTIONS.filter((option) =>
    (option.commands as readonly string[]).includes(command.name),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      options.flatMap(({ flag, type, short }: Option) => [
        [flag, short === undefined ? { type } : { type, short }],
        ...(type === 'boolean' ? [[`no-${flag}`, { type }]] : []),
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string>();
  const lists = new Map<string, string[]>();
  const paths: string[] = [];
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') paths.push(token.value);
    if (token.kind !== 'option') continue;
    const negated = token.name.startsWith('no-');
    const name = negated ? token.name.slice('no-'.length) : token.name;
    const option = options.find(({ flag, type }) => flag === name && (!negated || type === 'boolean'));
    if (option === undefined) {
      const known = options.map(({ flag }) => `--${flag}`);
      problems.push(unknown('option', token.rawName, known));
    } else if (option.type === 'boolean') {
      // parseArgs takes a value for what looks like an unknown option; only --collector.x=false has one.
      const value = token.inlineValue === true ? token.value : 'true';
      if (value === 'true' || value === 'false') values.set(option.flag, String((value === 'true') !== negated));
      else problems.push(`--${name}=${value}: expected true or false`);
    } else if (token.value === undefined || token.value === '') {
      problems.push(`--${option.flag} needs a value: ${option.value}`);
    } else {
      values.set(option.flag, token.value);
      lists.set(option.flag, [...(lists.get(option.flag) ?? []), token.value]);
    }
  }
  if (paths.length > 0 && command.usage === '')
    problems.push(`${command.name} takes no argument, but got ${paths.join(' ')}`);
  if (paths.length === 0 && command.usage !== '') problems.push(`${command.name} needs ${command.usage}`);
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  const get = (flag: Flag) => values.get(flag) ?? defaultOf(options, flag, command.name);
  const getAll = (flag: Flag) => lists.get(flag) ?? [];
  return { command: command.name, paths, argv, get, getAll };
}

function defaultOf(options: readonly Option[], flag: Flag, command: CommandName): string | undefined {
  const option = options.find((candidate) => candidate.flag === flag);
  return option?.defaults?.[command] ?? option?.default;
}

function unknown(what: string, given: string, known: readonly string[]): string {
  const nearest = [...known].sort((a, b) => distance(given, a) - distance(given, b))[0];
  const hint = nearest !== undefined && distance(given, nearest) <= 4 ? `; did you mean ${nearest}?` : '';
  return `unknown ${what} ${given}${hint} (--help lists them)`;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function presets({ default: preset, defaults = {} }: Option): string {
  if (preset === undefined) return '';
  const others = Object.entries(defaults).map(([command, other]) => `; ${command}: ${other}`);
  return ` Default: ${preset}${others.join('')}.`;
}

export function helpText(): string {
  const options = OPTIONS.map((option: Option) => {
    const short = option.short === undefined ? '' : `-${option.short} ${option.value}, `;
    const left =
      option.type === 'boolean' ? `  --[no-]${option.flag}` : `  ${short}--${option.flag}=${option.value ?? ''}`;
    return `${left}\n        ${option.help}${presets(option)} (${option.commands.join(', ')})`;
  });
  const commands = COMMANDS.map(({ name, usage, help }) => `  ${`${name} ${usage}`.padEnd(18)}${help}`);
  return [
    'How many VM exits end up in QEMU, of which VM, why, and what do they cost?',
    '',
    'usage: kvm-exit-exporter COMMAND [--option=value ...] [PATH...]',
    '',
    'commands:',
    ...commands,
    '',
    'options:',
    ...options,
    '  --help, --version',
    '',
  ].join('\n');
}
