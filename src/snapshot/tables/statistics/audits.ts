import type { LiveAuditRow } from '../../../audit/live-audit.js';
import { kept, RowTable, type VmRow } from '../row-table.js';
import type { TotalsWithVms } from '../vms.js';

/** Our count of some exits of a VM by KVM's own. */
export interface AuditRatio extends VmRow {
  readonly check: string;
  readonly ratio: number;
}

/** The checks of the audit that have a result. */
export const AUDITS = new RowTable<AuditRatio, TotalsWithVms>({
  rows: ({ audit }) =>
    audit
      .filter(({ outcome, ratio }) => outcome === 'compared' && !Number.isNaN(ratio))
      .map(({ vm, check, ratio }: LiveAuditRow) => ({ vm, check, ratio })),
  labels: { check: kept('check') },
  // Of several VMs, the one whose counts differ most.
  add: (a, b) => ({ ...a, ratio: Math.abs(b.ratio - 1) > Math.abs(a.ratio - 1) ? b.ratio : a.ratio }),
  isUnlimited: () => true,
  metrics: [
    {
      name: 'kvm_exit_exporter_audit_ratio',
      type: 'gauge',
      help:
        "Our count of exits by KVM's own count of the same exits, in the last 1 to 5 minutes: 1 if they agree. " +
        'check: the statistic of KVM. Absent where they cannot be compared (kvm_exit_exporter_audit_checks). ' +
        'vm="other": the ratio that is farthest from 1.',
      otel: { name: 'kvm_exit_exporter.audit.ratio', unit: '{ratio}' },
      value: ({ ratio }) => ratio,
    },
  ],
});
