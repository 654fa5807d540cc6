import { GHCB_EXIT, type IndexKind, NESTED_EXIT, NoOpSink, type Vocabulary } from '../../../src/trace/sink.js';

/** Writes down each call in a short form. */
export class ShortCallSink extends NoOpSink {
  readonly calls: string[] = [];
  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    super();
    this.#vocabulary = vocabulary;
  }

  override vmExit(_t: number, _c: number, _tid: number, vcpu: number, reason: number, info1: number): void {
    this.calls.push(`exit vcpu=${vcpu} ${this.#reason(reason)} ${info1.toString(16)}`);
  }
  override vmEntry(_t: number, _c: number, _tid: number, vcpu: number): void {
    this.calls.push(`entry vcpu=${vcpu}`);
  }
  override userspaceExit(_t: number, _c: number, _tid: number, reason: number): void {
    this.calls.push(`userspace ${this.#reason(reason)}`);
  }
  override portIo(_t: number, _c: number, _tid: number, write: boolean, port: number, size: number): void {
    this.calls.push(`pio ${write ? 'out' : 'in'} ${port.toString(16)} ${size}`);
  }
  override mmio(_t: number, _c: number, _tid: number, access: number, gpa: number): void {
    this.calls.push(`mmio ${access} ${gpa.toString(16)}`);
  }
  override fastMmio(_t: number, _c: number, _tid: number, gpa: number): void {
    this.calls.push(`fast ${gpa.toString(16)}`);
  }
  override index(_t: number, _c: number, _tid: number, kind: IndexKind, index: number): void {
    const value = kind === NESTED_EXIT || kind === GHCB_EXIT ? this.#reason(index) : index.toString(16);
    this.calls.push(`index ${kind} ${value}`);
  }
  override apicvInhibit(_t: number, _c: number, _tid: number, reason: number, isOn: boolean): void {
    this.calls.push(`apicv ${this.#reason(reason)} ${isOn}`);
  }
  override threadStart(_t: number, _c: number, tid: number, started: number): void {
    this.calls.push(`start ${tid} ${started}`);
  }
  override threadExit(_t: number, _c: number, tid: number): void {
    this.calls.push(`end ${tid}`);
  }
  override interrupt(_t: number, _c: number, tid: number): void {
    this.calls.push(`interrupt ${tid}`);
  }
  override qemuRunExit(_t: number, id: number, cpu: number, reason: number): void {
    this.calls.push(`run ${id} cpu=${cpu} ${this.#reason(reason)}`);
  }
  override qemuEvent(_t: number, _id: number, event: number): void {
    this.calls.push(`qemu ${this.#vocabulary.qemuEvents.text(event)}`);
  }
  override lost(cpu: number, count: number): void {
    this.calls.push(`lost ${cpu} ${count}`);
  }
  override malformed(kind: string): void {
    this.calls.push(`malformed ${kind}`);
  }

  #reason(id: number): string {
    return this.#vocabulary.reasons.text(id);
  }
}
