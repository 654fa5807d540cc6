import { VARIABLE_PREFIX, variableOf } from '../../src/config/environment.js';
import { groupByTitle } from '../../src/config/help.js';
import { isToggle, OPTIONS } from '../../src/config/options.js';
import { markdownTable } from './markdown-table.js';

/** The options, in the order of --help. */
export function optionsTable(): string {
  const rows = [...groupByTitle(OPTIONS).values()].flat().map((option) => {
    const { flag, short, type, required, default: preset, defaults = {}, help, commands } = option;
    const name = isToggle(option) ? `--[no-]${flag}` : `--${flag}=${type.placeholder}`;
    const brief = short === undefined ? '' : `, \`-${short}\``;
    const variable = variableOf(flag).replace(VARIABLE_PREFIX, '…_');
    return [
      `\`${name}\`${brief}`,
      `\`${variable}\``,
      [
        ...(preset === undefined ? [] : [`\`${preset}\``]),
        ...Object.entries(defaults).map(([command, value]) => `${command}: \`${value}\``),
      ].join('; '),
      required === true ? `${help} Required.` : help,
      commands.join(', '),
    ];
  });
  return markdownTable(['option', 'variable', 'default', 'meaning', 'commands'], rows);
}
