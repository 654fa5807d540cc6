import type { MalformedKind, MmioAccess, Vocabulary } from '../../../src/trace/sink.js';
import { NoOpSink } from '../../../src/trace/sink.js';

/** kvm_mmio's words, indexed by the kind of access. */
const MMIO_ACCESS = ['unsatisfied-read', 'read', 'write'] as const;

export type Counts = Map<string, number>;

/**
 * A sink that counts calls by readable keys. Tests compare its maps with the expected counts of a recording. CallSink
 * keeps times and order as well.
 */
export class CountingSink extends NoOpSink {
  /** Key: `id cpuIndex reason`, such as `8714 0 KVM_EXIT_IO`. */
  readonly qemuRunExits: Counts = new Map();
  /** Key: reason alone. */
  readonly qemuRunExitReasons: Counts = new Map();
  /** Key: `cpuIndex reason`. */
  readonly qemuRunExitsByCpu: Counts = new Map();
  /** Key: QEMU event. */
  readonly qemuEvents: Counts = new Map();
  /** Key: tracepoint. */
  readonly tracepoints: Counts = new Map();
  /** Key: `tid vcpu reason`. */
  readonly vmExits: Counts = new Map();
  /** Key: reason alone. */
  readonly vmExitReasons: Counts = new Map();
  /** Key: `tid vcpu`. */
  readonly vmEntries: Counts = new Map();
  /** Key: `tid reason`. */
  readonly userspaceExits: Counts = new Map();
  /** Key: reason alone. */
  readonly userspaceExitReasons: Counts = new Map();
  /** Key: `out 0x402 1` or `in 0x21 1`: direction, port, size. */
  readonly portIos: Counts = new Map();
  /** Key: `unsatisfied-read 0xfee00000`. */
  readonly mmios: Counts = new Map();
  /** Key: `0xfebf0000`. */
  readonly fastMmios: Counts = new Map();
  /** Key: tid. */
  readonly interrupts: Counts = new Map();
  /** Key: cpu. Value: the sum of the known counts. */
  readonly lostEvents: Counts = new Map();
  /** Key: cpu. Value: the number of gaps, of known and unknown size. */
  readonly lostGaps: Counts = new Map();
  /** The number of gaps of unknown size. */
  unknownLosses = 0;
  /** Key: kind. */
  readonly malformedKinds: Counts = new Map();
  /** Key: tid. Value: the arguments of the last call of thread(). */
  readonly threads = new Map<number, { readonly tgid: number; readonly comm: string }>();
  /** The first time of all events, without NaN. */
  firstTimeNs = Number.NaN;
  /** The last time of all events, without NaN. */
  lastTimeNs = Number.NaN;

  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    super();
    this.#vocabulary = vocabulary;
  }

  override interrupt(timeNs: number, _cpu: number, tid: number): void {
    this.#noteTime(timeNs);
    this.interrupts.set(String(tid), (this.interrupts.get(String(tid)) ?? 0) + 1);
  }

  override qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    const text = this.#vocabulary.reasons.text(reason);
    this.#noteTime(timeNs);
    add(this.qemuRunExits, `${id} ${cpuIndex} ${text}`);
    add(this.qemuRunExitsByCpu, `${cpuIndex} ${text}`);
    add(this.qemuRunExitReasons, text);
  }

  override qemuEvent(timeNs: number, _id: number, event: number): void {
    this.#noteTime(timeNs);
    add(this.qemuEvents, this.#vocabulary.qemuEvents.text(event));
  }

  override lost(cpu: number, count: number): void {
    add(this.lostGaps, String(cpu));
    if (count < 0) this.unknownLosses++;
    else add(this.lostEvents, String(cpu), count);
  }

  override malformed(kind: MalformedKind): void {
    add(this.malformedKinds, kind);
  }

  override thread(tid: number, tgid: number, comm: string): void {
    this.threads.set(tid, { tgid, comm });
  }

  override tracepoint(timeNs: number, _cpu: number, _tid: number, name: number): void {
    this.#noteTime(timeNs);
    add(this.tracepoints, this.#vocabulary.tracepoints.text(name));
  }

  override vmExit(_timeNs: number, _cpu: number, tid: number, vcpu: number, reason: number): void {
    const text = this.#vocabulary.reasons.text(reason);
    add(this.vmExits, `${tid} ${vcpu} ${text}`);
    add(this.vmExitReasons, text);
  }

  override vmEntry(_timeNs: number, _cpu: number, tid: number, vcpu: number): void {
    add(this.vmEntries, `${tid} ${vcpu}`);
  }

  override userspaceExit(_timeNs: number, _cpu: number, tid: number, reason: number): void {
    const text = this.#vocabulary.reasons.text(reason);
    add(this.userspaceExits, `${tid} ${text}`);
    add(this.userspaceExitReasons, text);
  }

  override portIo(_timeNs: number, _cpu: number, _tid: number, write: boolean, port: number, size: number): void {
    add(this.portIos, `${write ? 'out' : 'in'} 0x${port.toString(16)} ${size}`);
  }

  override mmio(_timeNs: number, _cpu: number, _tid: number, access: MmioAccess, gpa: number): void {
    add(this.mmios, `${MMIO_ACCESS[access]} 0x${gpa.toString(16)}`);
  }

  override fastMmio(_timeNs: number, _cpu: number, _tid: number, gpa: number): void {
    add(this.fastMmios, `0x${gpa.toString(16)}`);
  }

  #noteTime(timeNs: number): void {
    if (Number.isNaN(timeNs)) return;
    if (Number.isNaN(this.firstTimeNs)) this.firstTimeNs = timeNs;
    this.lastTimeNs = timeNs;
  }
}

/** The sum of all counts. */
export function total(counts: Counts): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

/** The counts as a plain object, to compare them with JSON. */
export function plain(counts: Counts): Record<string, number> {
  return Object.fromEntries(counts);
}

function add(counts: Counts, key: string, count = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
