import { addCounts, merged, RowTable, type VmRow } from './row-table.js';

/** Exits to userspace and what led to them. */
export interface CauseCount extends VmRow {
  /** Hardware exit reason, `none` if no kvm_exit led to the exit to userspace. */
  readonly reason: string;
  readonly userspaceReason: string;
  readonly count: number;
}

/** Exits to userspace by cause. */
export const CAUSES = new RowTable<CauseCount>({
  rows: ({ collectors, layout, vms, vocabulary: { reasons } }) => {
    if (!collectors.causes) return [];
    const slots = layout.slots('causes');
    // On a KVM that raises no kvm_exit, the causes are unknown.
    const withExits = [...vms].filter(([, { kernel }]) => layout.total('exits', kernel) > 0);
    return withExits.flatMap(([vm, { kernel }]) =>
      slots.flatMap(({ slot, reason, userspaceReason }) => {
        const count = kernel[slot] ?? 0;
        return count > 0
          ? [{ vm, reason: reasons.text(reason), userspaceReason: reasons.text(userspaceReason), count }]
          : [];
      }),
    );
  },
  labels: { reason: merged('reason'), userspaceReason: merged('userspace_reason') },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_exit_causes_total',
      type: 'counter',
      help:
        'Exits to userspace by the hardware exit that led to them. reason="none": KVM_RUN returned without an exit from the guest, ' +
        'because the vCPU had not entered it.',
      otel: { name: 'kvm.exit.causes', unit: '{exit}' },
      value: ({ count }) => count,
    },
  ],
});
