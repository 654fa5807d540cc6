import { OTHER } from '../../../trace/names.js';
import { CPUID_LEAF, type IndexKind } from '../../../trace/sink.js';
import { addCounts, merged, RowTable, type VmRow } from '../row-table.js';
import { indexRows } from './index-rows.js';

/** Executions of CPUID. */
export interface CpuidCount extends VmRow {
  /** `0x40000001`; `other` for all leaves without a series of their own. */
  readonly leaf: string;
  readonly count: number;
}

const KINDS: ReadonlySet<IndexKind> = new Set([CPUID_LEAF]);

export const CPUID_LEAVES = new RowTable<CpuidCount>({
  rows: (totals) =>
    indexRows(totals, KINDS, ({ vm, index, count }) => ({
      vm,
      leaf: index === undefined ? OTHER : `0x${index.toString(16)}`,
      count,
    })),
  labels: { leaf: merged('leaf') },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_cpuid_exits_total',
      type: 'counter',
      help: 'CPUID instructions of the guest by leaf. The busiest leaves of each VM have series of their own; leaf="other" is the sum of all other leaves.',
      otel: { name: 'kvm.cpuid.exits', unit: '{exit}' },
      value: ({ count }) => count,
    },
  ],
});
