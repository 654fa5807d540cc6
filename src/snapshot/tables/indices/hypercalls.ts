import { HYPERCALLS } from '../../../count/indices/hypercall-names.js';
import { OTHER } from '../../../trace/names.js';
import { addCounts, kept, merged, RowTable, type VmRow } from '../row-table.js';
import { indexRows } from './index-rows.js';

/** Calls of the guest to the hypervisor. */
export interface HypercallCount extends VmRow {
  /** Interface that the guest uses. */
  readonly kind: 'kvm' | 'hyperv' | 'xen';
  /** Name of the call, or its number in hexadecimal; `other` for all calls without a series of their own. */
  readonly number: string;
  readonly count: number;
}

const KINDS = new Set(HYPERCALLS.keys());

export const HYPERCALL_COUNTS = new RowTable<HypercallCount>({
  rows: (totals) =>
    indexRows(totals, KINDS, ({ vm, kind, index, count }) => {
      const { interface: name = 'kvm', names } = HYPERCALLS.get(kind) ?? {};
      const number = index === undefined ? OTHER : (names?.get(index) ?? `0x${index.toString(16)}`);
      return { vm, kind: name, number, count };
    }),
  labels: { kind: kept('kind'), number: merged('number') },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_hypercalls_total',
      type: 'counter',
      help: 'Hypercalls of the guest, in the interface of KVM, Hyper-V or Xen. The busiest calls of each VM have series of their own; number="other" is the sum of all other calls.',
      otel: { name: 'kvm.hypercalls', unit: '{call}' },
      value: ({ count }) => count,
    },
  ],
});
