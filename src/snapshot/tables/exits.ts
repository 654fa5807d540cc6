import { type Counters, withRoomFor } from '../../count/counters/counters.js';
import type { LedgerTotals } from '../../count/ledger-totals.js';
import type { CounterSlot } from '../../count/vcpu/counter-layout.js';
import { ExitColumns, type ExitCount, ExitRows } from './exit-rows.js';
import type { Layer } from './layer.js';
import { addCounts, kept, merged, RowTable } from './row-table.js';

/** Exits by vCPU, layer and reason. */
export const EXITS = new RowTable<ExitCount>({
  rows: exitRows,
  labels: {
    vcpu: merged('vcpu'),
    layer: kept('layer'),
    // Where a VM has too many series, it has too many vCPUs; reasons are few.
    reason: kept('reason'),
  },
  add: addCounts,
  metrics: [
    {
      name: 'kvm_exits_total',
      type: 'counter',
      help:
        'VM exits by reason. layer="kvm": exits from guest mode to KVM, by hardware exit reason. layer="qemu": returns of KVM_RUN to ' +
        'userspace (QEMU or another VMM), by KVM_EXIT_* reason, or restart (interrupted) or error (failed). ' +
        'An exit that reaches userspace counts in both layers: never add them up.',
      otel: { name: 'kvm.exits', unit: '{exit}' },
      value: ({ count }) => count,
    },
  ],
});

function exitRows({ vms, vocabulary, layout, kernelCountsAll }: LedgerTotals): ExitRows {
  const [kvmSlots, qemuSlots] = [layout.slots('exits'), layout.slots('userspaceExits')];
  const labels: { readonly vm: string; readonly vcpu: string }[] = [];
  const columns = new ExitColumns();
  for (const [vm, { vcpus }] of vms) {
    const kernelShowsVm =
      kernelCountsAll || [...vcpus.values()].some(({ kernel }) => layout.total('userspaceExits', kernel) > 0);
    for (const [vcpu, { kernel, qemu }] of vcpus) {
      const index = labels.push({ vm, vcpu }) - 1;
      const add = (layer: Layer, reason: number, count: number) => {
        if (count > 0) columns.add(index, layer, reason, count);
      };
      for (const { slot, reason } of kvmSlots) add('kvm', reason, kernel[slot] ?? 0);
      if (qemu.length === 0 || (kernelShowsVm && !kernelCountsAll))
        for (const { slot, reason } of qemuSlots) add('qemu', reason, kernel[slot] ?? 0);
      else
        bothByReason(qemu, qemuSlots, kernel).forEach((count, reason) => {
          add('qemu', reason, count);
        });
    }
  }
  return new ExitRows(labels, vocabulary.reasons.texts(), columns);
}

/** Adds up QEMU's counts and those of the kernel, which are of different times. */
function bothByReason(qemu: Counters, slots: readonly CounterSlot[], kernel: Counters): Counters {
  let sum: Counters = qemu.slice();
  for (const { slot, reason } of slots) {
    sum = withRoomFor(sum, reason);
    sum[reason] = (sum[reason] as number) + (kernel[slot] ?? 0);
  }
  return sum;
}
