import { vmCell } from '../report/text-table.js';
import type { Diff } from './diff.js';
import { FIGURES, riseCell, VM_FIGURES } from './figures.js';
import { riseOf } from './pair.js';

/** The figures of VMs that rose by more than `limit` (0.1 for 10 %), in words; undefined if no figure can be judged. */
export function risesAbove({ vms }: Diff, limit: number): string[] | undefined {
  const figures = vms.flatMap(({ vm, figures }) => VM_FIGURES.map((figure) => ({ vm, figure, pair: figures[figure] })));
  const judged = figures.filter(({ pair }) => riseOf(pair) !== undefined);
  if (judged.length === 0) return undefined;
  return judged
    .filter(({ pair }) => (riseOf(pair) ?? 0) > limit)
    .map(({ vm, figure, pair: { before = 0, after = 0 } }) => {
      const { name, show } = FIGURES[figure];
      return `${vmCell(vm)}: ${name} rose from ${show(before)} to ${show(after)} (${riseCell({ before, after })})`;
    });
}
