import type { IndexKind, MmioAccess } from './sink.js';
import { ForwardingSink, type TraceSink } from './sink.js';

/** Passes frequent events of a kernel trace on while it is on, and everything else at any time. */
export class SwitchedSink extends ForwardingSink {
  /** True if frequent events are passed on. */
  isOn: boolean;
  /** Ids of the tracepoints that are passed on at any time. */
  readonly #always: ReadonlySet<number>;

  constructor(sink: TraceSink, isOn: boolean, always: ReadonlySet<number> = new Set()) {
    super(sink);
    this.isOn = isOn;
    this.#always = always;
  }

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    if (this.isOn || this.#always.has(name)) this.sink.tracepoint(timeNs, cpu, tid, name);
  }

  override vmExit(
    timeNs: number,
    cpu: number,
    tid: number,
    vcpu: number,
    reason: number,
    info1: number,
    info2: number,
  ): void {
    if (this.isOn) this.sink.vmExit(timeNs, cpu, tid, vcpu, reason, info1, info2);
  }

  override vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    if (this.isOn) this.sink.vmEntry(timeNs, cpu, tid, vcpu);
  }

  override portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void {
    if (this.isOn) this.sink.portIo(timeNs, cpu, tid, write, port, size);
  }

  override mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    if (this.isOn) this.sink.mmio(timeNs, cpu, tid, access, gpa);
  }

  override fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void {
    if (this.isOn) this.sink.fastMmio(timeNs, cpu, tid, gpa);
  }

  override index(timeNs: number, cpu: number, tid: number, kind: IndexKind, index: number): void {
    if (this.isOn) this.sink.index(timeNs, cpu, tid, kind, index);
  }

  override interrupt(timeNs: number, cpu: number, tid: number): void {
    if (this.isOn) this.sink.interrupt(timeNs, cpu, tid);
  }
}
