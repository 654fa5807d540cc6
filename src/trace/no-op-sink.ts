import type { MalformedKind, MmioAccess, QemuSignal, TraceSink } from './sink.js';

/**
 * A sink that ignores every call. Sinks that need only a few of the calls extend it, so that a new method of
 * {@link TraceSink} does not have to be added to each of them.
 */
export class NoOpSink implements TraceSink {
  thread(_tid: number, _tgid: number, _comm: string): void {}
  tracepoint(_timeNs: number, _cpu: number, _tid: number, _name: number): void {}
  vmExit(
    _timeNs: number,
    _cpu: number,
    _tid: number,
    _vcpu: number,
    _reason: number,
    _info1: number,
    _info2: number,
  ): void {}
  vmEntry(_timeNs: number, _cpu: number, _tid: number, _vcpu: number): void {}
  userspaceExit(_timeNs: number, _cpu: number, _tid: number, _reason: number): void {}
  portIo(_timeNs: number, _cpu: number, _tid: number, _write: boolean, _port: number, _size: number): void {}
  mmio(_timeNs: number, _cpu: number, _tid: number, _access: MmioAccess, _gpa: number): void {}
  fastMmio(_timeNs: number, _cpu: number, _tid: number, _gpa: number): void {}
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
