import { printable } from '../../system/printable.js';
import { vmCell } from '../report/text-table.js';
import type { Diff, IoDiff } from './diff.js';
import { type Pair, stateOf } from './pair.js';

/** Reasons and devices in one line; further ones are counted. */
const MAX_NAMES = 8;

/** A line for each VM about the reasons and devices that only one recording has; `New in vm-a: device rtc.` */
export function newAndGone(diff: Diff): string[] {
  return diff.vms.flatMap(({ vm }) =>
    (['new', 'gone'] as const).flatMap((state) => {
      const reasons = diff.reasons.filter((row) => row.vm === vm && stateOf(row.often) === state);
      const devices = [...pairsByDevice(diff.io.filter((row) => row.vm === vm))].filter(
        ([, pair]) => stateOf(pair) === state,
      );
      const names = [
        ...reasons.map(({ reason, layer }) => `${reason} (layer ${layer})`),
        ...devices.map(([device]) => `device ${device}`),
      ];
      return names.length === 0 ? [] : [printable(`${TITLES[state]} ${vmCell(vm)}: ${list(names)}.`)];
    }),
  );
}

const TITLES = { new: 'New in', gone: 'Gone from' };

function pairsByDevice(rows: readonly IoDiff[]): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const { device, often } of rows) {
    if (device === '') continue;
    const known = pairs.get(device) ?? { before: 0, after: 0 };
    pairs.set(device, { before: sum(known.before, often.before), after: sum(known.after, often.after) });
  }
  return pairs;
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}

function list(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return `${names.slice(0, MAX_NAMES).join(', ')}${more}`;
}
