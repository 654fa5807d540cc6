import type { MalformedKind, QemuSignal, QemuSink } from './sink.js';
import { NoOpSink } from './sink.js';

/**
 * Passes on what QEMU's traces say and drops the kernel's events. While the gate is closed, events are dropped as well:
 * they happened before counting began. Names and addresses of devices stay true, so they always pass.
 */
export class QemuGate extends NoOpSink {
  open = false;
  readonly #sink: QemuSink;

  constructor(sink: QemuSink) {
    super();
    this.#sink = sink;
  }

  override qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    if (this.open) this.#sink.qemuRunExit(timeNs, id, cpuIndex, reason);
  }

  override qemuEvent(timeNs: number, id: number, event: number): void {
    if (this.open) this.#sink.qemuEvent(timeNs, id, event);
  }

  override qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void {
    if (this.open) this.#sink.qemuSignal(timeNs, id, signal, device);
  }

  override qemuDevice(id: number, device: number, name: string): void {
    this.#sink.qemuDevice(id, device, name);
  }

  override qemuRegion(id: number, address: number, name: string): void {
    this.#sink.qemuRegion(id, address, name);
  }

  override setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    this.#sink.setIoeventfd(id, mmio, address, assign);
  }

  override lost(cpu: number, count: number): void {
    if (this.open) this.#sink.lost(cpu, count);
  }

  override malformed(kind: MalformedKind): void {
    if (this.open) this.#sink.malformed(kind);
  }
}
