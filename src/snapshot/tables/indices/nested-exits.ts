import { OTHER } from '../../../trace/names.js';
import { GHCB_EXIT, type IndexKind, NESTED_EXIT } from '../../../trace/sink.js';
import { addCounts, merged, RowTable, type VmRow } from '../row-table.js';
import { type IndexCount, indexRows } from './index-rows.js';

/** Exits by a reason that kvm_exit does not tell. */
export interface ReasonCount extends VmRow {
  readonly reason: string;
  readonly count: number;
}

/** A table of the exits of one kind, by reason. */
function reasonTable(kind: IndexKind, name: string, otelName: string, help: string): RowTable<ReasonCount> {
  const kinds = new Set([kind]);
  return new RowTable<ReasonCount>({
    rows: (totals) => {
      const { reasons } = totals.vocabulary;
      const reasonOf = ({ index }: IndexCount) => (index === undefined ? OTHER : reasons.text(index));
      return indexRows(totals, kinds, (own) => ({ vm: own.vm, reason: reasonOf(own), count: own.count }));
    },
    labels: { reason: merged('reason') },
    add: addCounts,
    metrics: [{ name, type: 'counter', help, otel: { name: otelName, unit: '{exit}' }, value: ({ count }) => count }],
  });
}

export const NESTED_EXITS = reasonTable(
  NESTED_EXIT,
  'kvm_nested_exits_total',
  'kvm.nested.exits',
  'Exits of guests that run inside of the VM (L2). kvm_exits_total counts them too, together with the exits of the VM itself.',
);

export const GHCB_EXITS = reasonTable(
  GHCB_EXIT,
  'kvm_ghcb_exits_total',
  'kvm.ghcb.exits',
  'Requests of a guest with encrypted registers (SEV-ES, SEV-SNP), by the reason that it gives. kvm_exits_total counts them as vmgexit.',
);
