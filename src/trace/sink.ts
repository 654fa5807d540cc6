/**
 * The calls that decoders make and counters implement: one method for each thing that can happen.
 *
 * All arguments are primitives, so an event costs no allocation. Names of exit reasons, tracepoints and QEMU events are
 * passed as ids of a {@link Vocabulary}; `names.text(id)` returns the text.
 *
 * - `timeNs`: nanoseconds on the trace clock, exact to 2^53 ns (104 days of uptime), then within 2 ns. NaN if the
 *   recording has no times or its clock does not count time (`counter`, `x86-tsc`, `uptime`).
 * - `cpu`: host CPU. `vcpu`: guest CPU. -1 if the event does not name it.
 * - `tid`: thread id as the host's kernel sees it. 0 if the recording does not name it.
 */
import type { Names } from './names.js';

/** The shared name tables. Decoders add names; the ledger indexes its counters by the ids. */
export interface Vocabulary {
  /** Labels of exit reasons of both layers: `io`, `EPT_MISCONFIG`, `KVM_EXIT_IO`, `restart` ... */
  readonly reasons: Names;
  /** Tracepoints without their system: `kvm_exit`; QEMU's markers count as `tracing_mark_write`. */
  readonly tracepoints: Names;
  /** QEMU's trace events: `kvm_run_exit`, `virtio_queue_notify` ... */
  readonly qemuEvents: Names;
}

/** Why input could not be decoded. A closed set, because it is a label value. */
export type MalformedKind =
  | 'line' // a text line without a known header
  | 'line-too-long'
  | 'arguments' // a text line with a known header, but the event's own text is not understood
  | 'file-header'
  | 'record' // a binary record that contradicts itself
  | 'truncated' // the input ends inside a record, line or page
  | 'page' // a ring-buffer page that contradicts itself
  | 'unknown-event'; // a record of an event that no format describes

/** The count of lost events if the source reports a gap without its size. */
export const UNKNOWN_LOSS = -1;

/** Notifications between a guest and its virtio devices, as QEMU's trace events report them. */
export const QUEUE_NOTIFY = 0; // virtio_queue_notify: the guest kicked the device, through an ioeventfd or by an exit
export const NOTIFY_WRITE = 1; // virtio_pci_notify_write: the kick was an exit; QUEUE_NOTIFY follows
export const IRQFD_NOTIFY = 2; // virtio_notify_irqfd: the device interrupts the guest through an irqfd
export const IRQFD_DEFERRED = 3; // virtio_notify_irqfd_deferred_fn (QEMU 8.3+): the write to the irqfd
export const IRQ_NOTIFY = 4; // virtio_notify: QEMU injects the interrupt itself
export type QemuSignal =
  | typeof QUEUE_NOTIFY
  | typeof NOTIFY_WRITE
  | typeof IRQFD_NOTIFY
  | typeof IRQFD_DEFERRED
  | typeof IRQ_NOTIFY;

/** Kinds of access by kvm_mmio, numbered as KVM_TRACE_MMIO_* (include/trace/events/kvm.h). */
export const MMIO_UNSATISFIED_READ = 0;
export const MMIO_READ = 1;
export const MMIO_WRITE = 2;
export type MmioAccess = typeof MMIO_UNSATISFIED_READ | typeof MMIO_READ | typeof MMIO_WRITE;

/** What the number of {@link TraceSink.index} means. */
export const MSR_READ = 0; // kvm_msr: the register, ECX
export const MSR_WRITE = 1;
export const CPUID_LEAF = 2; // kvm_cpuid: the leaf, EAX
export const KVM_HYPERCALL = 3; // kvm_hypercall: its number
export const HYPERV_HYPERCALL = 4; // kvm_hv_hypercall: its code
export const XEN_HYPERCALL = 5; // kvm_xen_hypercall: its number
export const PAGE_FAULT = 6; // kvm_page_fault: the low bits of its error code
export const NESTED_EXIT = 7; // kvm_nested_vmexit: id of the reason in {@link Vocabulary.reasons}
export const GHCB_EXIT = 8; // kvm_vmgexit_enter: id of the reason that an SEV-ES guest gives
export type IndexKind =
  | typeof MSR_READ
  | typeof MSR_WRITE
  | typeof CPUID_LEAF
  | typeof KVM_HYPERCALL
  | typeof HYPERV_HYPERCALL
  | typeof XEN_HYPERCALL
  | typeof PAGE_FAULT
  | typeof NESTED_EXIT
  | typeof GHCB_EXIT;

/** Calls for the events of QEMU's own traces, whichever backend wrote them. */
export interface QemuSink {
  /**
   * KVM_RUN returned to QEMU (`kvm_run_exit`, accel/kvm/trace-events).
   * @param id thread id (log prefix, ftrace marker), process id (simple), 0 if there is none
   * @param cpuIndex QEMU's cpu_index, -1 if missing
   * @param reason id in {@link Vocabulary.reasons}
   */
  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void;
  /** Every QEMU trace event, including kvm_run_exit. `event`: id in {@link Vocabulary.qemuEvents}; `id` as above. */
  qemuEvent(timeNs: number, id: number, event: number): void;
  /**
   * A guest kicked a virtio device, or a device interrupts its guest.
   * @param device QEMU's pointer to the device, 0 if the event does not name it
   */
  qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void;
  /**
   * An event mentions a virtio device.
   * @param device QEMU's pointer to the device, 0 for the device that the same `id` mentioned before
   * @param name '' if the event does not name the device
   */
  qemuDevice(id: number, device: number, name: string): void;
  /** The name of QEMU's memory region at an address. Below 64 KiB the address is a port, else guest physical. */
  qemuRegion(id: number, address: number, name: string): void;
  /**
   * kvm_set_ioeventfd_mmio, _pio: KVM handles writes to this address itself from now on (`assign`), or stops doing so.
   */
  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void;
  /**
   * `count` events are missing here; {@link UNKNOWN_LOSS} if their number is unknown. `cpu` is -1 if no CPU is known.
   */
  lost(cpu: number, count: number): void;
  malformed(kind: MalformedKind): void;
}

/** Calls for the events of a kernel trace, which can hold QEMU's markers too. */
export interface TraceSink extends QemuSink {
  /** The recording names a thread. Called if the name or `tgid` is new, not per event. `tgid` is -1 if unknown. */
  thread(tid: number, tgid: number, comm: string): void;
  /** task_newtask: this thread starts another thread of its process. */
  threadStart(timeNs: number, cpu: number, tid: number, started: number): void;
  /** sched_process_exit: this thread ends. Later events with its id are those of another thread. */
  threadExit(timeNs: number, cpu: number, tid: number): void;
  /** Every event of the kernel, before its own method below. `name`: id in {@link Vocabulary.tracepoints}. */
  tracepoint(timeNs: number, cpu: number, tid: number, name: number): void;
  /** VM exit, guest -> KVM. `info1`: the hardware's exit qualification, NaN if the tracepoint does not give it. */
  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number): void;
  /** Entry, KVM -> guest. */
  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void;
  /** Userspace exit, KVM -> VMM: KVM_RUN returns. */
  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void;
  /** kvm_pio. `write`: true for the guest's OUT. `size`: bytes of one access. */
  portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void;
  /** kvm_mmio. `gpa`: guest physical address (exact to 2^53). */
  mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void;
  /** An event that says by a number what the guest did. `index`: exact to 2^53. */
  index(timeNs: number, cpu: number, tid: number, kind: IndexKind, index: number): void;
  /**
   * kvm_apicv_inhibit_changed: from now on, this reason keeps APICv or AVIC off, or no longer does.
   * @param reason id in {@link Vocabulary.reasons}
   */
  apicvInhibit(timeNs: number, cpu: number, tid: number, reason: number, isOn: boolean): void;
  /** kvm_msi_set_irq: this thread injects a message-signalled interrupt. */
  interrupt(timeNs: number, cpu: number, tid: number): void;
  /**
   * Events of this CPU are missing from here on. {@link lost} reports their number, just before the CPU's next event.
   */
  gapAhead(cpu: number): void;
  /** kvm_fast_mmio: an ioeventfd hit, which KVM handles without a userspace exit. */
  fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void;
}

/**
 * Ignores every call. A sink that needs only a few of the calls extends this class, so that a new method of
 * {@link TraceSink} does not have to be added to it. A sink that passes calls on extends {@link ForwardingSink}.
 */
export class NoOpSink implements TraceSink {
  thread(_tid: number, _tgid: number, _comm: string): void {}
  threadStart(_timeNs: number, _cpu: number, _tid: number, _started: number): void {}
  threadExit(_timeNs: number, _cpu: number, _tid: number): void {}
  tracepoint(_timeNs: number, _cpu: number, _tid: number, _name: number): void {}
  vmExit(_timeNs: number, _cpu: number, _tid: number, _vcpu: number, _reason: number, _info1: number): void {}
  vmEntry(_timeNs: number, _cpu: number, _tid: number, _vcpu: number): void {}
  userspaceExit(_timeNs: number, _cpu: number, _tid: number, _reason: number): void {}
  portIo(_timeNs: number, _cpu: number, _tid: number, _write: boolean, _port: number, _size: number): void {}
  mmio(_timeNs: number, _cpu: number, _tid: number, _access: MmioAccess, _gpa: number): void {}
  fastMmio(_timeNs: number, _cpu: number, _tid: number, _gpa: number): void {}
  index(_timeNs: number, _cpu: number, _tid: number, _kind: IndexKind, _index: number): void {}
  apicvInhibit(_timeNs: number, _cpu: number, _tid: number, _reason: number, _isOn: boolean): void {}
  interrupt(_timeNs: number, _cpu: number, _tid: number): void {}
  gapAhead(_cpu: number): void {}
  lost(_cpu: number, _count: number): void {}
  malformed(_kind: MalformedKind): void {}
  qemuRunExit(_timeNs: number, _id: number, _cpuIndex: number, _reason: number): void {}
  qemuEvent(_timeNs: number, _id: number, _event: number): void {}
  qemuSignal(_timeNs: number, _id: number, _signal: QemuSignal, _device: number): void {}
  qemuDevice(_id: number, _device: number, _name: string): void {}
  qemuRegion(_id: number, _address: number, _name: string): void {}
  setIoeventfd(_id: number, _mmio: boolean, _address: number, _assign: boolean): void {}
}

/**
 * Passes every call of a QEMU trace on to another sink. A sink that changes or drops some of the calls extends this
 * class, so that a new call cannot get lost on the way to the counters.
 */
export class QemuForwardingSink<Sink extends QemuSink = QemuSink> implements QemuSink {
  protected readonly sink: Sink;

  constructor(sink: Sink) {
    this.sink = sink;
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    if (this.passes(timeNs)) this.sink.qemuEvent(timeNs, id, event);
  }

  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    if (this.passes(timeNs)) this.sink.qemuRunExit(timeNs, id, cpuIndex, reason);
  }

  qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void {
    if (this.passes(timeNs)) this.sink.qemuSignal(timeNs, id, signal, device);
  }

  qemuDevice(id: number, device: number, name: string): void {
    this.sink.qemuDevice(id, device, name);
  }

  qemuRegion(id: number, address: number, name: string): void {
    this.sink.qemuRegion(id, address, name);
  }

  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    this.sink.setIoeventfd(id, mmio, address, assign);
  }

  lost(cpu: number, count: number): void {
    this.sink.lost(cpu, count);
  }

  malformed(kind: MalformedKind): void {
    this.sink.malformed(kind);
  }

  /** True if events of this time are passed on. Calls that are no events always are. */
  protected passes(_timeNs: number): boolean {
    return true;
  }
}

/** Passes every call of a kernel trace on to another sink. Extend it as {@link QemuForwardingSink}. */
export class ForwardingSink extends QemuForwardingSink<TraceSink> implements TraceSink {
  thread(tid: number, tgid: number, comm: string): void {
    this.sink.thread(tid, tgid, comm);
  }

  /** Passed on whatever its time: the thread may raise events much later. */
  threadStart(timeNs: number, cpu: number, tid: number, started: number): void {
    this.sink.threadStart(timeNs, cpu, tid, started);
  }

  /** Passed on whatever its time: the thread's id means another thread from then on. */
  threadExit(timeNs: number, cpu: number, tid: number): void {
    this.sink.threadExit(timeNs, cpu, tid);
  }

  tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    if (this.passes(timeNs)) this.sink.tracepoint(timeNs, cpu, tid, name);
  }

  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number): void {
    if (this.passesFrequent(timeNs)) this.sink.vmExit(timeNs, cpu, tid, vcpu, reason, info1);
  }

  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    if (this.passesFrequent(timeNs)) this.sink.vmEntry(timeNs, cpu, tid, vcpu);
  }

  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    if (this.passes(timeNs)) this.sink.userspaceExit(timeNs, cpu, tid, reason);
  }

  portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void {
    if (this.passesFrequent(timeNs)) this.sink.portIo(timeNs, cpu, tid, write, port, size);
  }

  mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    if (this.passesFrequent(timeNs)) this.sink.mmio(timeNs, cpu, tid, access, gpa);
  }

  fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void {
    if (this.passesFrequent(timeNs)) this.sink.fastMmio(timeNs, cpu, tid, gpa);
  }

  index(timeNs: number, cpu: number, tid: number, kind: IndexKind, index: number): void {
    if (this.passesFrequent(timeNs)) this.sink.index(timeNs, cpu, tid, kind, index);
  }

  apicvInhibit(timeNs: number, cpu: number, tid: number, reason: number, isOn: boolean): void {
    if (this.passes(timeNs)) this.sink.apicvInhibit(timeNs, cpu, tid, reason, isOn);
  }

  interrupt(timeNs: number, cpu: number, tid: number): void {
    if (this.passesFrequent(timeNs)) this.sink.interrupt(timeNs, cpu, tid);
  }

  gapAhead(cpu: number): void {
    this.sink.gapAhead(cpu);
  }

  /** The same for frequent events: all but userspace exits, states of APICv, and starts and ends of threads. */
  protected passesFrequent(timeNs: number): boolean {
    return this.passes(timeNs);
  }
}
