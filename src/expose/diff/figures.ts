import { known, percent, rate } from '../report/text-table.js';
import type { VmFigure } from './diff.js';
import { type Pair, riseOf, stateOf } from './pair.js';

/** The figures of a VM in words, and how they are shown. */
export const FIGURES: Readonly<Record<VmFigure, { readonly name: string; readonly show: (figure: number) => string }>> =
  {
    qemu: { name: 'exits to QEMU per s', show: rate },
    exits: { name: 'exits to KVM per s', show: rate },
    share: { name: 'share reaching QEMU', show: percent },
    time: { name: 'time lost', show: percent },
  };

// Object.keys() does not know that FIGURES has no further keys.
export const VM_FIGURES = Object.keys(FIGURES) as readonly VmFigure[];

/** `+12.3 %`, `new` or `gone`. */
export function riseCell(pair: Pair, unknown?: string): string {
  const state = stateOf(pair);
  if (state === 'new' || state === 'gone') return state;
  return known(riseOf(pair), (rise) => `${rise > 0 ? '+' : ''}${percent(rise)}`, unknown);
}
