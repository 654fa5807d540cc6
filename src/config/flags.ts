import { parseArgs } from 'node:util';
import { unknown } from '../system/did-you-mean.js';
import { Given } from './config-layer.js';
import { type Command, type Flag, OPTIONS, type Option } from './options.js';

export interface CommandLine {
  readonly given: Given;
  readonly paths: readonly string[];
}

/** What the words after a command say. */
export function fromFlags(command: Command, args: readonly string[]): CommandLine {
  const options = optionsOf(command);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      options.flatMap(({ flag, type, short }) => [
        [flag, short === undefined ? { type } : { type, short }],
        ...(type === 'boolean' ? [[`no-${flag}`, { type }]] : []),
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Given();
  const paths: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') paths.push(token.value);
    if (token.kind !== 'option') continue;
    const negated = token.name.startsWith('no-');
    const name = negated ? token.name.slice('no-'.length) : token.name;
    const option = options.find(({ flag, type }) => flag === name && (!negated || type === 'boolean'));
    if (option === undefined) {
      given.problems.push(
        `${unknown(
          'option',
          token.rawName,
          options.map(({ flag }) => `--${flag}`),
        )} (--help lists them)`,
      );
    } else if (option.type === 'boolean') {
      // parseArgs takes a value for what looks like an unknown option; only --collector.x=false has one.
      const value = token.inlineValue === true ? token.value : 'true';
      given.add(option, negated ? (NEGATED[value] ?? value) : value, token.rawName);
    } else given.add(option, token.value ?? '', token.rawName);
  }
  if (paths.length > 0 && command.usage === '')
    given.problems.push(`${command.name} takes no argument, but got ${paths.join(' ')}`);
  if (paths.length === 0 && command.usage !== '') given.problems.push(`${command.name} needs ${command.usage}`);
  return { given, paths };
}

const NEGATED: Readonly<Record<string, string>> = { true: 'false', false: 'true' };

export function optionsOf(command: Command): (Option & { flag: Flag })[] {
  return OPTIONS.filter((option) => (option.commands as readonly string[]).includes(command.name));
}
