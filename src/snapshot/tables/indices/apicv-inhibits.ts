import { addCounts, merged, RowTable, type VmRow } from '../row-table.js';

/** What keeps the hardware's help for interrupts off. */
export interface ApicvInhibitRow extends VmRow {
  /** The kernel's name; its number where the kernel gives no name. */
  readonly reason: string;
  /** How often it began to. */
  readonly count: number;
  readonly isOn: boolean;
}

export const APICV_INHIBITS = new RowTable<ApicvInhibitRow>({
  rows: ({ collectors, vms, vocabulary: { reasons } }) =>
    collectors.indices
      ? [...vms].flatMap(([vm, { apicv }]) =>
          Array.from(apicv, ([reason, { begun, isOn }]) => ({ vm, reason: reasons.text(reason), count: begun, isOn })),
        )
      : [],
  labels: { reason: merged('reason') },
  add: (a, b) => ({ ...addCounts(a, b), isOn: a.isOn || b.isOn }),
  metrics: [
    {
      name: 'kvm_apicv_inhibits_total',
      type: 'counter',
      help: 'How often a reason began to keep APICv (Intel) or AVIC (AMD) off. Without it, interrupts cost exits.',
      otel: { name: 'kvm.apicv.inhibits', unit: '{change}' },
      value: ({ count }) => count,
    },
    {
      name: 'kvm_apicv_inhibited',
      type: 'gauge',
      help: '1 while a reason keeps APICv or AVIC off. A reason that has not changed since the agent started has no series.',
      otel: { name: 'kvm.apicv.inhibited', unit: '{reason}' },
      value: ({ isOn }) => (isOn ? 1 : 0),
    },
  ],
});
