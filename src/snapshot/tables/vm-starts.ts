import { RowTable, type VmRow } from './row-table.js';
import type { TotalsWithVms } from './vms.js';

/** When a VM was started. */
export interface VmStart extends VmRow {
  /** Seconds since 1970. */
  readonly startSeconds: number;
}

/** The VMs whose start is known. It is a table of its own, because `kvm_vm_info` also has VMs whose start is not. */
export const VM_STARTS = new RowTable<VmStart, TotalsWithVms>({
  rows: ({ vmInfos }) =>
    vmInfos
      .filter(({ startSeconds }) => !Number.isNaN(startSeconds))
      .map(({ vm, startSeconds }) => ({ vm, startSeconds })),
  labels: {},
  add: (a, b) => ({ ...a, startSeconds: Math.max(a.startSeconds, b.startSeconds) }),
  isUnlimited: () => true,
  metrics: [
    {
      name: 'kvm_vm_start_time_seconds',
      type: 'gauge',
      help:
        "Start of the VM's process, in seconds since 1970. A VM that is restarted under its name continues its series, and this " +
        'value changes. vm="other": the latest start.',
      otel: { name: 'kvm.vm.start_time', unit: 's' },
      value: ({ startSeconds }) => startSeconds,
    },
  ],
});
