/** The command to run and its options, from four layers: defaults < file < environment < command line. */
import { unknownName } from '../system/did-you-mean.js';
import { AgentError } from '../system/errors.js';
import { COMMANDS, type Command, type CommandName } from './commands.js';
import { readConfigFile } from './config-file.js';
import type { ConfigLayer } from './config-layer.js';
import { type Environment, readEnvironment } from './environment.js';
import { type Flag, type GetOption, OPTIONS, type Option, type OptionValue, optionsOf } from './options.js';
import { parseFlags } from './parse-flags.js';

export interface Invocation {
  readonly command: CommandName | 'help' | 'version' | 'licenses';
  readonly get: GetOption;
  /** Arguments that are not options. For help: the command that it explains, if one is named. */
  readonly operands: readonly string[];
  /** A program and its arguments, for a command that runs one. */
  readonly program: readonly string[];
  /** The command line as given. */
  readonly argv: readonly string[];
  /** The same command line with the file as it is now. @throws AgentError as {@link parseCommandLine} */
  readonly reread: () => Invocation;
}

/** @throws AgentError that names every mistake on the command line, in the environment and in the file, one per line */
export function parseCommandLine(argv: readonly string[], environment: Environment = process.env): Invocation {
  const [first] = argv;
  // What follows after -- is an operand, or of another program.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const reread = () => parseCommandLine(argv, environment);
  const isCommand = first !== undefined && !first.startsWith('-');
  const help = (operands: readonly string[]): Invocation => {
    return { command: 'help', get: getterOf([], 'run'), operands, program: [], argv, reread };
  };
  if (first === 'help') return help(argv.slice(1));
  if (own.includes('--version')) return { ...help([]), command: 'version' };
  if (own.includes('--licenses')) return { ...help([]), command: 'licenses' };
  const command = commandNamed(isCommand ? first : 'run');
  if (own.includes('--help') || own.includes('-h')) return help(isCommand ? [command.name] : []);
  const { layer, operands, program } = parseFlags(command, isCommand ? argv.slice(1) : argv);
  const layers = withFile(command, [layer, readEnvironment(environment)]);
  const problems = [...layers.flatMap((each) => each.problems), ...missing(command, layers)];
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return { command: command.name, get: getterOf(layers, command.name), operands, program, argv, reread };
}

function commandNamed(given: string): Command & { readonly name: CommandName } {
  const command = COMMANDS.find(({ name }) => name === given);
  if (command !== undefined) return command;
  const known = COMMANDS.map(({ name }) => name);
  throw new AgentError(`${unknownName('command', given, known)} (--help lists them)`);
}

/** The layers, and below them the file that one of them names with `config.file`. */
function withFile(command: Command, layers: readonly ConfigLayer[]): readonly ConfigLayer[] {
  if (optionsOf(command).every(({ flag }) => flag !== 'config.file')) return layers;
  const path = valuesIn(layers, 'config.file')?.at(-1);
  return typeof path === 'string' ? [...layers, readConfigFile(path)] : layers;
}

function missing(command: Command, layers: readonly ConfigLayer[]): string[] {
  return optionsOf(command)
    .filter(({ flag, required }) => required === true && valuesIn(layers, flag) === undefined)
    .map(({ flag, short, type }) => {
      const brief = short === undefined ? '' : ` (-${short} ${type.placeholder})`;
      return `${command.name} needs --${flag}=${type.placeholder}${brief}`;
    });
}

/** The values that the first layer with this option gives it. */
function valuesIn(layers: readonly ConfigLayer[], flag: string): readonly unknown[] | undefined {
  return layers.map(({ values }) => values.get(flag)).find((values) => values !== undefined);
}

function getterOf(layers: readonly ConfigLayer[], command: CommandName): GetOption {
  const values = new Map<string, unknown>(
    OPTIONS.map((option: Option) => {
      const given = valuesIn(layers, option.flag) ?? defaultsOf(option, command);
      return [option.flag, option.multiple === true ? given : given.at(-1)];
    }),
  );
  return <F extends Flag>(flag: F) => values.get(flag) as OptionValue<F>;
}

function defaultsOf(option: Option, command: CommandName): readonly unknown[] {
  const text = option.defaults?.[command] ?? option.default;
  return text === undefined ? [] : [option.type.read(text)];
}
