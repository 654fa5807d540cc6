import type { LiveAuditRow } from '../../../audit/live-audit.js';
import { kept, RowTable, type VmRow } from '../row-table.js';
import type { TotalsWithVms } from '../vms.js';

/** Our count of some exits of a VM by KVM's own. */
export interface AuditRatio extends VmRow {
  readonly check: string;
  readonly ratio: number;
  readonly uncertainty: number;
}

/** The checks of the audit that have a result. */
export const AUDITS = new RowTable<AuditRatio, TotalsWithVms>({
  rows: ({ audit }) =>
    audit
      .filter(({ outcome, ratio }) => outcome === 'compared' && !Number.isNaN(ratio))
      .map(({ vm, check, ratio, uncertainty }: LiveAuditRow) => ({ vm, check, ratio, uncertainty })),
  labels: { check: kept('check') },
  // Of several VMs, the one whose counts differ most, and the largest uncertainty.
  add: (a, b) => ({
    ...a,
    ratio: Math.abs(b.ratio - 1) > Math.abs(a.ratio - 1) ? b.ratio : a.ratio,
    uncertainty: Math.max(a.uncertainty, b.uncertainty),
  }),
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
    {
      name: 'kvm_exit_exporter_audit_uncertainty',
      type: 'gauge',
      help:
        "Part of KVM's count by which kvm_exit_exporter_audit_ratio may be wrong, because exits happen while KVM's " +
        'statistics are read. A ratio other than 1 differs by more than that. vm="other": the largest.',
      otel: { name: 'kvm_exit_exporter.audit.uncertainty', unit: '{ratio}' },
      value: ({ uncertainty }) => uncertainty,
    },
  ],
});
