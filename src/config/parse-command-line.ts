/** What is asked for, all in all: presets < file < environment < command line. */

import { unknown } from '../system/did-you-mean.js';
import { AgentError } from '../system/errors.js';
import { fromFile } from './config-file.js';
import type { Given } from './config-layer.js';
import { type Environment, fromEnvironment } from './environment.js';
import { fromFlags, optionsOf } from './flags.js';
import { COMMANDS, type Command, type CommandName, type Flag } from './options.js';

export interface Invocation {
  readonly command: CommandName | 'help' | 'version';
  /** Value of an option: given, else its preset, else undefined. */
  readonly get: (flag: Flag) => string | undefined;
  /** All values of an option that may be given more than once. */
  readonly getAll: (flag: Flag) => readonly string[];
  /** Arguments that are no options; of help the command that it is asked about. */
  readonly paths: readonly string[];
  /** As it was given. */
  readonly argv: readonly string[];
  /** The same with what the file says now. @throws AgentError as {@link parseCommandLine} */
  readonly reread: () => Invocation;
}

/** @throws AgentError naming every problem of command line, environment and file, not only the first */
export function parseCommandLine(argv: readonly string[], environment: Environment = process.env): Invocation {
  const [first] = argv;
  const reread = () => parseCommandLine(argv, environment);
  const none = { get: () => undefined, getAll: () => [], paths: [], argv, reread };
  if (first === 'help') return { command: 'help', ...none, paths: argv.slice(1) };
  if (argv.includes('--version')) return { command: 'version', ...none };
  const isCommand = first !== undefined && !first.startsWith('-');
  const command = commandNamed(isCommand ? first : 'run');
  if (argv.includes('--help') || argv.includes('-h'))
    return { command: 'help', ...none, paths: isCommand ? [command.name] : [] };
  return { ...parse(command, isCommand ? argv.slice(1) : argv, environment), argv, reread };
}

function commandNamed(given: string): Command {
  const command = COMMANDS.find(({ name }) => name === given);
  if (command !== undefined) return command;
  const known = COMMANDS.map(({ name }) => name);
  throw new AgentError(`${unknown('command', given, known)} (--help lists them)`);
}

function parse(
  command: Command,
  args: readonly string[],
  environment: Environment,
): Omit<Invocation, 'argv' | 'reread'> {
  const { given: flags, paths } = fromFlags(command, args);
  const variables = fromEnvironment(environment);
  const options = optionsOf(command);
  const file = options.some(({ flag }) => flag === 'config.file') ? fileOf([flags, variables]) : undefined;
  const layers = [flags, variables, ...(file === undefined ? [] : [file])];
  const problems = layers.flatMap((layer) => layer.problems);
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  const getAll = (flag: Flag): readonly string[] => {
    const option = options.find((candidate) => candidate.flag === flag);
    if (option === undefined) return [];
    const preset = option.defaults?.[command.name] ?? option.default;
    return (
      layers.map((layer) => layer.values.get(flag)).find((values) => values !== undefined) ??
      (preset === undefined ? [] : [preset])
    );
  };
  return { command: command.name, paths, getAll, get: (flag) => getAll(flag).at(-1) };
}

function fileOf(layers: readonly Given[]): Given | undefined {
  const path = layers.map(({ values }) => values.get('config.file')?.at(-1)).find((given) => given !== undefined);
  return path === undefined ? undefined : fromFile(path);
}
