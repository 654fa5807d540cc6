import type { MalformedKind, MmioAccess, QemuSignal, QemuSink, TraceSink } from './sink.js';
import type { TimeWindow } from './time-window.js';

/** Events known to be lost, of which it is not known yet when the gap ended. */
interface OpenLoss {
  readonly count: number;
  /** Time of the event before the gap. */
  readonly afterNs: number;
}

/**
 * Passes on the events of QEMU's own trace that are inside a window. What has no time of its own, such as the name of a
 * device, is passed on whenever it occurs. A loss is passed on if its gap overlaps the window.
 */
export class QemuWindowSink implements QemuSink {
  protected readonly window: TimeWindow;
  readonly #sink: QemuSink;
  /** CPU, -1 if it is not known -> loss. */
  readonly #openLosses = new Map<number, OpenLoss>();

  constructor(sink: QemuSink, window: TimeWindow) {
    this.#sink = sink;
    this.window = window;
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    const isInside = this.window.note(timeNs);
    this.endLoss(-1, timeNs);
    if (isInside) this.#sink.qemuEvent(timeNs, id, event);
  }

  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    if (this.window.has(timeNs)) this.#sink.qemuRunExit(timeNs, id, cpuIndex, reason);
  }

  qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void {
    if (this.window.has(timeNs)) this.#sink.qemuSignal(timeNs, id, signal, device);
  }

  qemuDevice(id: number, device: number, name: string): void {
    this.#sink.qemuDevice(id, device, name);
  }

  qemuRegion(id: number, address: number, name: string): void {
    this.#sink.qemuRegion(id, address, name);
  }

  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    this.#sink.setIoeventfd(id, mmio, address, assign);
  }

  lost(cpu: number, count: number): void {
    if (!this.window.isLimited) return this.#sink.lost(cpu, count);
    const afterNs = this.lastNs(cpu);
    this.endLoss(cpu, afterNs);
    this.#openLosses.set(cpu, { count, afterNs });
  }

  malformed(kind: MalformedKind): void {
    this.#sink.malformed(kind);
  }

  /** To be called at the end of the recording. */
  end(): void {
    for (const cpu of [...this.#openLosses.keys()]) this.endLoss(cpu, Number.POSITIVE_INFINITY);
  }

  /** Time of the latest event before a loss. */
  protected lastNs(_cpu: number): number {
    return this.window.lastNs;
  }

  /** Passes on the loss of this CPU, if there is one: it ends with an event at `timeNs`. */
  protected endLoss(cpu: number, timeNs: number): void {
    const loss = this.#openLosses.get(cpu);
    if (loss === undefined) return;
    this.#openLosses.delete(cpu);
    // A sink must learn that the gap has ended, also outside the window.
    this.#sink.lost(cpu, this.window.overlaps(loss.afterNs, timeNs) ? loss.count : 0);
  }
}

/** More CPUs than nearly any host has; CPUs beyond it share entries. A power of two. */
const CPU_ENTRIES = 1024;

/** Passes on the events of a kernel trace that are inside a window. */
export class KernelWindowSink extends QemuWindowSink implements TraceSink {
  readonly #sink: TraceSink;
  /** Time of the latest event by CPU; kept only if the window is limited. */
  readonly #lastNs = new Float64Array(CPU_ENTRIES).fill(Number.NEGATIVE_INFINITY);

  constructor(sink: TraceSink, window: TimeWindow) {
    super(sink, window);
    this.#sink = sink;
  }

  thread(tid: number, tgid: number, comm: string): void {
    this.#sink.thread(tid, tgid, comm);
  }

  /** Passed on whenever it is: the thread's id means another thread from then on. */
  threadExit(timeNs: number, cpu: number, tid: number): void {
    this.#sink.threadExit(timeNs, cpu, tid);
  }

  tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    const isInside = this.window.note(timeNs);
    if (this.window.isLimited) {
      this.endLoss(cpu, timeNs);
      this.endLoss(-1, timeNs);
      this.#lastNs[cpu & (CPU_ENTRIES - 1)] = timeNs;
    }
    if (isInside) this.#sink.tracepoint(timeNs, cpu, tid, name);
  }

  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number, info2: number): void {
    if (this.window.has(timeNs)) this.#sink.vmExit(timeNs, cpu, tid, vcpu, reason, info1, info2);
  }

  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    if (this.window.has(timeNs)) this.#sink.vmEntry(timeNs, cpu, tid, vcpu);
  }

  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    if (this.window.has(timeNs)) this.#sink.userspaceExit(timeNs, cpu, tid, reason);
  }

  portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void {
    if (this.window.has(timeNs)) this.#sink.portIo(timeNs, cpu, tid, write, port, size);
  }

  mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    if (this.window.has(timeNs)) this.#sink.mmio(timeNs, cpu, tid, access, gpa);
  }

  fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void {
    if (this.window.has(timeNs)) this.#sink.fastMmio(timeNs, cpu, tid, gpa);
  }

  interrupt(timeNs: number, cpu: number, tid: number): void {
    if (this.window.has(timeNs)) this.#sink.interrupt(timeNs, cpu, tid);
  }

  gapAhead(cpu: number): void {
    this.#sink.gapAhead(cpu);
  }

  /** A marker: its time is that of the tracepoint before it. */
  override qemuEvent(timeNs: number, id: number, event: number): void {
    if (this.window.has(timeNs)) this.#sink.qemuEvent(timeNs, id, event);
  }

  protected override lastNs(cpu: number): number {
    return cpu < 0 ? this.window.lastNs : (this.#lastNs[cpu & (CPU_ENTRIES - 1)] as number);
  }
}
