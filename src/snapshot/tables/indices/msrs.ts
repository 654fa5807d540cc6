import { msrName } from '../../../count/indices/msr-names.js';
import { OTHER } from '../../../trace/names.js';
import { type IndexKind, MSR_READ, MSR_WRITE } from '../../../trace/sink.js';
import { addCounts, kept, merged, RowTable, type VmRow } from '../row-table.js';
import { indexRows } from './index-rows.js';

/** Accesses to a model-specific register that KVM handled. */
export interface MsrCount extends VmRow {
  readonly direction: 'read' | 'write';
  /** Name, or number in hexadecimal; `other` for all registers without a series of their own. */
  readonly msr: string;
  readonly count: number;
}

const KINDS: ReadonlySet<IndexKind> = new Set([MSR_READ, MSR_WRITE]);

export const MSRS = new RowTable<MsrCount>({
  rows: (totals) =>
    indexRows(totals, KINDS, ({ vm, kind, index, count }) => ({
      vm,
      direction: kind === MSR_WRITE ? 'write' : 'read',
      msr: index === undefined ? OTHER : msrName(index),
      count,
    })),
  labels: { direction: kept('direction'), msr: merged('msr') },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_msr_exits_total',
      type: 'counter',
      help: 'Reads and writes of model-specific registers that KVM handled. The busiest registers of each VM have series of their own; msr="other" is the sum of all other registers.',
      otel: { name: 'kvm.msr.exits', unit: '{access}' },
      value: ({ count }) => count,
    },
  ],
});
