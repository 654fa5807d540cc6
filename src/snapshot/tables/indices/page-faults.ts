import { type PageFaultKind, pageFaultKind } from '../../../count/indices/page-faults.js';
import type { LedgerTotals } from '../../../count/ledger-totals.js';
import type { VmTotals } from '../../../count/totals/vm-totals.js';
import { type IndexKind, PAGE_FAULT } from '../../../trace/sink.js';
import { addCounts, kept, RowTable, type VmRow } from '../row-table.js';
import { indexRows } from './index-rows.js';

/** Page faults that KVM resolved. */
export interface PageFaultCount extends VmRow {
  readonly kind: PageFaultKind;
  readonly count: number;
}

const KINDS: ReadonlySet<IndexKind> = new Set([PAGE_FAULT]);

export const PAGE_FAULTS = new RowTable<PageFaultCount>({
  rows: (totals) => {
    const sums = new Map<string, PageFaultCount>();
    const faults = indexRows(totals, KINDS, ({ vm, totals: own, index, count }): PageFaultCount => {
      return { vm, kind: index === undefined ? 'unknown' : pageFaultKind(index, usesEpt(totals, own)), count };
    });
    // Several error codes are of one kind.
    for (const { vm, kind, count } of faults) {
      const key = `${kind} ${vm}`;
      sums.set(key, { vm, kind, count: count + (sums.get(key)?.count ?? 0) });
    }
    return [...sums.values()];
  },
  labels: { kind: kept('kind') },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_page_faults_total',
      type: 'counter',
      help: 'Page faults that KVM handled, by what the guest tried. kind="read", "write", "exec": KVM had not mapped the page yet; "protected_...": it had, without that right (dirty logging, copy on write); "mmio": a page of a device.',
      otel: { name: 'kvm.page_faults', unit: '{fault}' },
      value: ({ count }) => count,
    },
  ],
});

/** Undefined if the VM has no exits for page faults. */
function usesEpt({ layout, vocabulary }: LedgerTotals, { kernel }: VmTotals): boolean | undefined {
  const hasAny = (reasons: readonly string[]) =>
    reasons.some((reason) => (kernel[layout.exits[vocabulary.reasons.id(reason)] ?? 0] ?? 0) > 0);
  if (hasAny(['EPT_VIOLATION', 'EPT_MISCONFIG'])) return true;
  return hasAny(['npf', 'EXCEPTION_NMI', 'PF excp']) ? false : undefined;
}
