import { SIGNAL_KINDS } from '../../count/qemu/qemu-signals.js';
import type { VmTotals } from '../../count/totals/vm-totals.js';
import { addCounts, kept, merged, RowTable, type VmRow } from './row-table.js';

/** Signals between a guest and its devices. */
export interface EventfdCount extends VmRow {
  /**
   * `ioeventfd`: a kick by the guest that did not leave KVM_RUN. `irqfd`: an interrupt injected by another thread than
   * a vCPU's. Only with `seenBy: 'qemu'`: `kick`, a kick that was an exit, and `interrupt`, an interrupt that QEMU
   * injected itself.
   */
  readonly kind: (typeof SIGNAL_KINDS)[number];
  readonly seenBy: 'kvm' | 'qemu';
  /** '' if it is not known. */
  readonly device: string;
  readonly count: number;
}

/** Signals by kind and device. */
export const EVENTFDS = new RowTable<EventfdCount>({
  rows: ({ collectors, vms }) =>
    collectors.eventfd ? [...vms].flatMap(([vm, totals]) => eventfdRows(vm, totals)) : [],
  labels: { kind: kept('kind'), seenBy: kept('seen_by'), device: merged('device') },
  add: addCounts,
  isUnlimited: ({ seenBy }) => seenBy === 'kvm',
  metrics: [
    {
      name: 'kvm_eventfd_signals_total',
      type: 'counter',
      help:
        'Signals between guest and devices that need no exit to QEMU. kind="ioeventfd": kicks by the guest without leaving KVM_RUN. ' +
        'kind="irqfd": interrupts injected by other threads than the vCPUs. seen_by="kvm": from the kernel\'s trace. ' +
        'seen_by="qemu": the same from QEMU\'s own trace, by device, and also kind="kick" (a kick that was an exit) and ' +
        'kind="interrupt" (injected by QEMU itself). Never add the two views up.',
      otel: { name: 'kvm.eventfd.signals', unit: '{signal}' },
      value: ({ count }) => count,
    },
  ],
});

function eventfdRows(vm: string, { kicks, interrupts, qemuSignals }: VmTotals): EventfdCount[] {
  const seenByQemu = [...qemuSignals].flatMap(([device, counts]) =>
    SIGNAL_KINDS.map((kind, index) => ({ vm, kind, seenBy: 'qemu' as const, device, count: counts[index] ?? 0 })),
  );
  return [
    { vm, kind: 'ioeventfd', seenBy: 'kvm', device: '', count: kicks },
    { vm, kind: 'irqfd', seenBy: 'kvm', device: '', count: interrupts },
    ...seenByQemu.filter(({ count }) => count > 0),
  ];
}
