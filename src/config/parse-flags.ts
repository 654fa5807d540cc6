import { parseArgs } from 'node:util';
import { unknownName } from '../system/did-you-mean.js';
import type { Command } from './commands.js';
import { ConfigLayer } from './config-layer.js';
import { isToggle, type Option, optionsOf } from './options.js';

export interface CommandLine {
  readonly layer: ConfigLayer;
  /** Arguments that are not options. */
  readonly operands: readonly string[];
  /** A program and its arguments, given after `--`, if the command takes one. */
  readonly program: readonly string[];
}

/** Options and operands from the words after a command's name. */
export function parseFlags(command: Command, words: readonly string[]): CommandLine {
  const options = optionsOf(command);
  const layer = new ConfigLayer();
  const { own, program } = programIn(command, words);
  const operands: string[] = [];
  for (const token of tokensOf(options, own)) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const negated = token.name.startsWith('no-');
    const name = negated ? token.name.slice('no-'.length) : token.name;
    const option = options.find((candidate) => candidate.flag === name && (!negated || isToggle(candidate)));
    if (option === undefined) {
      const flags = options.map(({ flag }) => `--${flag}`);
      layer.problems.push(`${unknownName('option', token.rawName, flags)} (--help lists them)`);
    } else if (isToggle(option)) {
      // parseArgs takes the next word for the value of an option that it does not know. A toggle has one after = only.
      const value = token.inlineValue === true ? token.value : 'true';
      layer.add(option, negated ? (NEGATED.get(value) ?? value) : value, token.rawName);
    } else layer.add(option, token.value ?? '', token.rawName);
  }
  if (operands.length > 0 && command.usage === '')
    layer.problems.push(`${command.name} takes no argument, but got ${operands.join(' ')}`);
  if (operands.length === 0 && command.usage !== '' && !command.usage.startsWith('['))
    layer.problems.push(`${command.name} needs ${command.usage}`);
  return { layer, operands, program };
}

function programIn({ takesProgram }: Command, words: readonly string[]) {
  const end = takesProgram === true ? words.indexOf('--') : -1;
  return end < 0 ? { own: words, program: [] } : { own: words.slice(0, end), program: words.slice(end + 1) };
}

const NEGATED: ReadonlyMap<string, string> = new Map([
  ['true', 'false'],
  ['false', 'true'],
]);

function tokensOf(options: readonly Option[], words: readonly string[]) {
  const known = options.flatMap((option) => {
    const type: 'boolean' | 'string' = isToggle(option) ? 'boolean' : 'string';
    const { flag, short } = option;
    const named = [flag, short === undefined ? { type } : { type, short }] as const;
    return isToggle(option) ? [named, [`no-${flag}`, { type }] as const] : [named];
  });
  const config = { options: Object.fromEntries(known), strict: false, allowPositionals: true, tokens: true } as const;
  return parseArgs({ ...config, args: [...words] }).tokens;
}
