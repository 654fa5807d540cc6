/**
 * The one vocabulary between what decodes and what counts: a method for each thing that can happen.
 *
 * Arguments are primitives, so that an event costs no allocation. Names (exit reasons, tracepoints, QEMU events) travel as
 * ids of a {@link Vocabulary}; `names.text(id)` gives the text back when somebody looks.
 *
 * - `timeNs`: nanoseconds on the trace clock (exact to 2^53 ns = 104 days of uptime, then within 2 ns). NaN where the
 *   recording's clock does not count time (`counter`, `x86-tsc`, `uptime`) or where there is none.
 * - `cpu`: host CPU. `vcpu`: guest CPU. -1 where the event does not say.
 * - `tid`: thread id as the host's kernel sees it. 0 where the recording does not say.
 */
import type { Names } from './names.js';

/** The shared name tables. Decoders intern into them, the ledger indexes its counters by their ids. */
export interface Vocabulary {
  /** Labels of exit reasons of both layers: `io`, `EPT_MISCONFIG`, `KVM_EXIT_IO`, `restart` ... */
  readonly reasons: Names;
  /** Tracepoints without their system: `kvm_exit`; QEMU's markers count as `tracing_mark_write`. */
  readonly tracepoints: Names;
  /** QEMU's trace events: `kvm_run_exit`, `virtio_queue_notify` ... */
  readonly qemuEvents: Names;
}

/** What was wrong with input that could not be decoded. A closed set: it is a label value. */
export type MalformedKind =
  | 'line' // a text line that no known header fits
  | 'line-too-long'
  | 'arguments' // the header is understood, the event's own text is not
  | 'file-header'
  | 'record' // a binary record that contradicts itself
  | 'truncated' // the input ends inside a record or line
  | 'page' // a ring-buffer page that contradicts itself
  | 'unknown-event'; // a record of an event that no format describes

/** Number of lost events where the source says that there was a gap, but not how large. */
export const UNKNOWN_LOSS = -1;

/** How a virtio device and its guest call each other, as QEMU's callbacks see it. */
export const QUEUE_NOTIFY = 0; // virtio_queue_notify: the guest kicked, by an ioeventfd or by an exit
export const NOTIFY_WRITE = 1; // virtio_pci_notify_write: that kick was an exit; QUEUE_NOTIFY follows
export const IRQFD_NOTIFY = 2; // virtio_notify_irqfd: the device interrupts by an irqfd
export const IRQFD_DEFERRED = 3; // virtio_notify_irqfd_deferred_fn: where QEMU has it (8.3+), this is the write to the irqfd
export const IRQ_NOTIFY = 4; // virtio_notify: QEMU injects the interrupt itself
export type QemuSignal =
  | typeof QUEUE_NOTIFY
  | typeof NOTIFY_WRITE
  | typeof IRQFD_NOTIFY
  | typeof IRQFD_DEFERRED
  | typeof IRQ_NOTIFY;

/** What QEMU's own traces can say, whichever backend wrote them. */
export interface QemuSink {
  /**
   * QEMU saw KVM_RUN return (`kvm_run_exit`, accel/kvm/trace-events).
   * @param id thread id (log prefix, ftrace marker), process id (simple), 0 where there is none
   * @param cpuIndex QEMU's cpu_index, -1 where missing
   * @param reason id in {@link Vocabulary.reasons}
   */
  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void;
  /** Every QEMU trace event, kvm_run_exit too. `event`: id in {@link Vocabulary.qemuEvents}; `id` as above. */
  qemuEvent(timeNs: number, id: number, event: number): void;
  /**
   * A virtio device was kicked or interrupts its guest.
   * @param device QEMU's pointer to the device, 0 where the event does not say
   */
  qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void;
  /**
   * Something was said of a virtio device (`device` as above). `name` is '' where it was not named; `device` 0: the one that the
   * same `id` spoke of before.
   */
  qemuDevice(id: number, device: number, name: string): void;
  /** QEMU's memory region at a port or guest physical address is called this; addresses below 64 KiB are ports. */
  qemuRegion(id: number, address: number, name: string): void;
  /** kvm_set_ioeventfd_mmio, _pio: from now on KVM itself takes writes to this address (`assign`), or no longer does. */
  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void;
  /** Events are missing here: `count` of them, or {@link UNKNOWN_LOSS}. `cpu` -1: not of one CPU. */
  lost(cpu: number, count: number): void;
  malformed(kind: MalformedKind): void;
}

/** What a kernel trace can say; it can carry QEMU's markers too. */
export interface TraceSink extends QemuSink {
  /** The recording names a thread. Called when something new is learned, not per event. `tgid` -1 where unknown. */
  thread(tid: number, tgid: number, comm: string): void;
  /** Every event of the kernel, before its own method below. `name`: id in {@link Vocabulary.tracepoints}. */
  tracepoint(timeNs: number, cpu: number, tid: number, name: number): void;
  /** Guest -> KVM. `info1`, `info2`: the hardware's exit qualification as the tracepoint gives it, NaN where it does not. */
  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number, info2: number): void;
  /** KVM -> guest. */
  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void;
  /** KVM -> userspace: KVM_RUN returns. */
  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void;
  /** kvm_pio. `write`: the guest's OUT. `size` in bytes of one access. */
  portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void;
  /** kvm_mmio. `gpa`: guest physical address (exact to 2^53). */
  mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void;
  /** kvm_msi_set_irq: a message-signalled interrupt is injected by this thread. */
  interrupt(timeNs: number, cpu: number, tid: number): void;
  /** Of this CPU events are missing from here on, until {@link lost} says how many: just before its next event. */
  gapAhead(cpu: number): void;
  /** kvm_fast_mmio: an ioeventfd hit, handled without leaving the kernel. */
  fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void;
}

/** The words of kvm_mmio by the kernel's numbers (KVM_TRACE_MMIO_*, include/trace/events/kvm.h). */
export const MMIO_ACCESS = ['unsatisfied-read', 'read', 'write'] as const;
export const MMIO_UNSATISFIED_READ = 0;
export const MMIO_READ = 1;
export const MMIO_WRITE = 2;
export type MmioAccess = typeof MMIO_UNSATISFIED_READ | typeof MMIO_READ | typeof MMIO_WRITE;

/** Where a device answers. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
  readonly device: string;
}

/** What answers at the addresses of one VM: sorted, without overlaps. */
export interface DeviceRanges {
  readonly ports: readonly AddressRange[];
  /** Guest physical addresses. */
  readonly memory: readonly AddressRange[];
}
