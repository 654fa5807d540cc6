import { indexKindOf, indexOfKey } from '../../../count/indices/index-keys.js';
import type { LedgerTotals } from '../../../count/ledger-totals.js';
import type { VmTotals } from '../../../count/totals/vm-totals.js';
import type { IndexKind } from '../../../trace/sink.js';

/** An index of one VM that has series of its own, or the sum of all other indices of its kind. */
export interface IndexCount {
  readonly vm: string;
  readonly totals: VmTotals;
  readonly kind: IndexKind;
  /** Undefined for the sum of the indices without series of their own. */
  readonly index: number | undefined;
  readonly count: number;
}

/** Makes the rows of the chosen kinds. */
export function indexRows<Row>(
  { collectors, vms, busiestIndices }: LedgerTotals,
  kinds: ReadonlySet<IndexKind>,
  toRow: (count: IndexCount) => Row,
): Row[] {
  if (!collectors.indices) return [];
  const rows: Row[] = [];
  for (const [vm, totals] of vms) {
    const { series, rest } = busiestIndices(vm, totals);
    for (const [key, count] of series) {
      const kind = indexKindOf(key);
      if (kinds.has(kind)) rows.push(toRow({ vm, totals, kind, index: indexOfKey(key), count }));
    }
    for (const kind of kinds) {
      const count = rest[kind] ?? 0;
      if (count > 0) rows.push(toRow({ vm, totals, kind, index: undefined, count }));
    }
  }
  return rows;
}
