/** What shells complete after each command, from the lists of commands and options. */
import { COMMANDS, type CommandName } from '../commands.js';
import { isToggle, type Option, optionsOf } from '../options.js';

/** A list of words, or the kind of names that the shell knows itself; undefined for any other text. */
export type Values = readonly string[] | 'file' | 'directory' | undefined;

export interface ShellOption {
  /** Without the dashes. */
  readonly flag: string;
  readonly short: string | undefined;
  /** One sentence. */
  readonly help: string;
  readonly placeholder: string;
  /** True for `--name` and `--no-name`, which need no value. */
  readonly isToggle: boolean;
  readonly isMultiple: boolean;
  readonly values: Values;
}

export interface ShellCommand {
  readonly name: CommandName | 'help';
  /** One sentence. */
  readonly help: string;
  readonly options: readonly ShellOption[];
  readonly operands: Values;
}

/** Placeholders of files. PATH is one as an operand, `PATH...`; as an option's value it is that of a URL. */
const FILES: ReadonlySet<string> = new Set(['FILE', 'SOCKET', 'PATH...', 'TRACE_EVENTS_ALL']);

/** The command that runs if none is given. */
export const DEFAULT_COMMAND = 'run' satisfies CommandName;

export const SHELL_COMMANDS: readonly ShellCommand[] = [
  ...COMMANDS.map((command) => ({
    name: command.name,
    help: firstSentence(command.help),
    options: optionsOf(command).map(shellOption),
    operands: operandsOf(command.usage),
  })),
  { name: 'help', help: 'Show the options of a command.', options: [], operands: COMMANDS.map(({ name }) => name) },
];

/** Options that stand before or after any command. */
export const GENERAL_OPTIONS: readonly ShellOption[] = [
  generalOption('help', 'Show the options.'),
  generalOption('version', 'Show the version.'),
  generalOption('licenses', 'Show the licences.'),
];

function generalOption(flag: string, help: string): ShellOption {
  const short = undefined;
  return { flag, short, help, placeholder: '', isToggle: false, isMultiple: false, values: [] };
}

/** True if the option stands alone: it neither takes a value nor has a `--no-` form. */
export function isBare({ placeholder }: ShellOption): boolean {
  return placeholder === '';
}

/** The words that switch an option: `--name=` if a value follows, `--name` and `--no-name` for a toggle. */
export function wordsOf(option: ShellOption): string[] {
  const { flag, short } = option;
  if (isBare(option)) return [`--${flag}`];
  if (option.isToggle) return [`--${flag}`, `--no-${flag}`];
  return short === undefined ? [`--${flag}=`] : [`-${short}`, `--${flag}=`];
}

function shellOption(option: Option): ShellOption {
  const { flag, short, help, type, multiple } = option;
  return {
    flag,
    short,
    help: firstSentence(help),
    placeholder: type.placeholder,
    isToggle: isToggle(option),
    isMultiple: multiple === true,
    values: type.values ?? namesIn(type.placeholder),
  };
}

/** `enable|disable|status [EVENT...]` lists its words; PATH is a file. */
function operandsOf(usage: string): Values {
  const [first = ''] = usage.split(' ');
  return /^[a-z|]+$/.test(first) ? first.split('|') : namesIn(first);
}

function namesIn(placeholder: string): Values {
  if (placeholder === 'DIR') return 'directory';
  return FILES.has(placeholder) ? 'file' : undefined;
}

/** Up to the first full stop or colon that ends a statement. */
function firstSentence(text: string): string {
  return (/^.*?(?=[.:;] |\.$|$)/.exec(text)?.[0] ?? text).replace(/ \((?:default|-)[^)]*$/, '');
}
