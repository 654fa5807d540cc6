import {
  GHCB_EXIT,
  type IndexKind,
  type MalformedKind,
  NESTED_EXIT,
  type TraceSink,
  type Vocabulary,
} from '../../../src/trace/sink.js';

/** A sink that writes down every call as one line, in order. For tests of whole sequences. */
export class CallSink implements TraceSink {
  readonly calls: string[] = [];
  /** The CPUs of the calls of gapAhead, which are not in {@link calls}. */
  readonly gaps: number[] = [];
  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    this.#add('qemuRunExit', timeNs, id, cpuIndex, this.#vocabulary.reasons.text(reason));
  }
  qemuEvent(timeNs: number, id: number, event: number): void {
    this.#add('qemuEvent', timeNs, id, this.#vocabulary.qemuEvents.text(event));
  }
  qemuSignal(timeNs: number, id: number, signal: number, device: number): void {
    this.#add('qemuSignal', timeNs, id, signal, `0x${device.toString(16)}`);
  }
  qemuDevice(id: number, device: number, name: string): void {
    this.#add('qemuDevice', id, `0x${device.toString(16)}`, name);
  }
  qemuRegion(id: number, address: number, name: string): void {
    this.#add('qemuRegion', id, `0x${address.toString(16)}`, name);
  }
  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    this.#add('setIoeventfd', id, mmio ? 'mmio' : 'pio', `0x${address.toString(16)}`, assign);
  }
  gapAhead(cpu: number): void {
    this.gaps.push(cpu);
  }
  index(timeNs: number, cpu: number, tid: number, kind: IndexKind, index: number): void {
    const isReason = kind === NESTED_EXIT || kind === GHCB_EXIT;
    this.#add(
      'index',
      timeNs,
      cpu,
      tid,
      kind,
      isReason ? this.#vocabulary.reasons.text(index) : `0x${index.toString(16)}`,
    );
  }
  apicvInhibit(timeNs: number, cpu: number, tid: number, reason: number, isOn: boolean): void {
    this.#add('apicvInhibit', timeNs, cpu, tid, this.#vocabulary.reasons.text(reason), isOn);
  }
  interrupt(timeNs: number, cpu: number, tid: number): void {
    this.#add('interrupt', timeNs, cpu, tid);
  }
  lost(cpu: number, count: number): void {
    this.#add('lost', cpu, count);
  }
  malformed(kind: MalformedKind): void {
    this.#add('malformed', kind);
  }
  thread(tid: number, tgid: number, comm: string): void {
    this.#add('thread', tid, tgid, comm);
  }
  threadStart(timeNs: number, cpu: number, tid: number, started: number): void {
    this.#add('threadStart', timeNs, cpu, tid, started);
  }
  threadExit(timeNs: number, cpu: number, tid: number): void {
    this.#add('threadExit', timeNs, cpu, tid);
  }
  tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    this.#add('tracepoint', timeNs, cpu, tid, this.#vocabulary.tracepoints.text(name));
  }
  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number): void {
    this.#add('vmExit', timeNs, cpu, tid, vcpu, this.#vocabulary.reasons.text(reason), info1);
  }
  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    this.#add('vmEntry', timeNs, cpu, tid, vcpu);
  }
  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    this.#add('userspaceExit', timeNs, cpu, tid, this.#vocabulary.reasons.text(reason));
  }
  portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void {
    this.#add('portIo', timeNs, cpu, tid, write, port, size);
  }
  mmio(timeNs: number, cpu: number, tid: number, access: number, gpa: number): void {
    this.#add('mmio', timeNs, cpu, tid, access, gpa);
  }
  fastMmio(timeNs: number, cpu: number, tid: number, gpa: number): void {
    this.#add('fastMmio', timeNs, cpu, tid, gpa);
  }

  #add(...words: (string | number | boolean)[]): void {
    this.calls.push(words.join(' '));
  }
}
