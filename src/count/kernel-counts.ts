import type { IndexKind, MalformedKind, MmioAccess, QemuSignal, TraceSink } from '../trace/sink.js';
import { addCount, type Counters, newCounters, withRoomFor } from './counters/counters.js';
import { SourceCounts } from './counters/source-counts.js';
import { type KernelCoverage, QemuCounts } from './qemu/qemu-counts.js';
import { ThreadVcpus } from './thread-vcpus.js';
import { ApicvInhibits } from './totals/apicv-inhibits.js';
import type { ExitTimer } from './vcpu/exit-timer.js';
import type { KnownReasons } from './vcpu/known-reasons.js';
import type { Collectors } from './vcpu/vcpu-counts.js';

/** Called when thread `tid` starts another thread of its process. */
export type ThreadStartListener = (tid: number, started: number, timeNs: number) => void;

/** Called with each thread that a trace names. */
export type ThreadListener = (tid: number, tgid: number, comm: string) => void;

/** Called when a thread ends, whether it has counts or not. */
export type ThreadEndListener = (tid: number, timeNs: number) => void;

export interface KernelCountsOptions {
  readonly collectors: Collectors;
  readonly reasons: KnownReasons;
  readonly onThread?: ThreadListener | undefined;
  readonly onThreadStart?: ThreadStartListener | undefined;
  readonly onThreadEnd?: ThreadEndListener | undefined;
  readonly coverage?: KernelCoverage;
}

/**
 * Counts the events of one kernel trace by thread. Which VM a thread belongs to is asked for when a snapshot is taken.
 */
export class KernelCounts implements TraceSink {
  readonly source = new SourceCounts();
  readonly markers: QemuCounts;
  /** Hits by id of the tracepoint. */
  hits: Counters = newCounters();
  /** Time of the latest event on the trace's clock. */
  lastTimeNs = 0;
  /** Milliseconds on the agent's clock at time 0 of the trace's clock; NaN if they are not known. */
  clockOffsetMs = Number.NaN;
  readonly threads: ThreadVcpus;
  readonly #onThread: ThreadListener;
  readonly #onThreadStart: ThreadStartListener;
  readonly #onThreadEnd: ThreadEndListener;
  readonly #collectsIo: boolean;
  readonly #collectsIndices: boolean;
  /** Number of times that a gap in the trace began or ended. */
  #gaps = 0;
  /** Number of CPUs whose events are missing at this moment. Until that ends, no exit of any CPU can be paired. */
  #openGaps = 0;
  /** Thread id -> interrupts that the thread injected (kvm_msi_set_irq). */
  readonly interrupts = new Map<number, number>();
  readonly apicv = new ApicvInhibits();

  constructor({ collectors, reasons, coverage, ...listeners }: KernelCountsOptions) {
    const { onThread = () => {}, onThreadStart = () => {}, onThreadEnd = () => {} } = listeners;
    this.markers = new QemuCounts(coverage === undefined ? {} : { coverage });
    this.threads = new ThreadVcpus(collectors, reasons);
    this.#collectsIo = collectors.io || collectors.eventfd;
    this.#collectsIndices = collectors.indices;
    this.#onThread = onThread;
    this.#onThreadStart = onThreadStart;
    this.#onThreadEnd = onThreadEnd;
  }

  hasCounts(tid: number): boolean {
    return this.threads.has(tid) || this.interrupts.has(tid) || this.apicv.has(tid) || this.markers.events.has(tid);
  }

  /** Adds the counts of thread `from` to those of `to`, and drops `from`. */
  moveCounts(from: number, to: number): void {
    const interrupts = this.interrupts.get(from);
    this.threads.move(from, to);
    this.apicv.move(from, to);
    this.interrupts.delete(from);
    if (interrupts !== undefined) addCount(this.interrupts, to, interrupts);
  }

  forget(tid: number): void {
    this.threads.forget(tid);
    this.apicv.forget(tid);
    this.interrupts.delete(tid);
  }

  /** Time of a thread's latest event on the agent's clock; NaN if it is not known. */
  lastEventMs(tid: number): number {
    const ns = this.threads.timerOf(tid)?.nowNs ?? Number.NaN;
    return (Number.isNaN(ns) ? this.lastTimeNs : ns) / 1e6 + this.clockOffsetMs;
  }

  /**
   * The times of a thread's vCPU until `atMs` on the agent's clock, by when all events are counted; NaN: until its
   * latest event. Undefined if the thread has no events.
   */
  timesUntil(tid: number, atMs = Number.NaN): ExitTimer | undefined {
    const timer = this.threads.timerOf(tid);
    timer?.settle((atMs - this.clockOffsetMs) * 1e6);
    return timer;
  }

  thread(tid: number, tgid: number, comm: string): void {
    this.#onThread(tid, tgid, comm);
  }

  threadStart(timeNs: number, _cpu: number, tid: number, started: number): void {
    this.#onThreadStart(tid, started, timeNs);
  }

  threadExit(timeNs: number, _cpu: number, tid: number): void {
    this.#onThreadEnd(tid, timeNs);
  }

  tracepoint(timeNs: number, _cpu: number, _tid: number, name: number): void {
    this.lastTimeNs = timeNs;
    this.source.events++;
    if (name >= this.hits.length) this.hits = withRoomFor(this.hits, name);
    this.hits[name] = (this.hits[name] as number) + 1;
  }

  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number): void {
    const counts = this.threads.ofVcpu(cpu, tid, vcpu);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.exit(reason, info1 | 0);
  }

  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    const counts = this.threads.ofVcpu(cpu, tid, vcpu);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.entry();
  }

  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    const counts = this.threads.ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.userspaceExit(reason);
  }

  portIo(_timeNs: number, cpu: number, tid: number, write: boolean, port: number, _size: number): void {
    if (!this.#collectsIo) return;
    const counts = this.threads.ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.io.portIo(write, port);
  }

  mmio(_timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    if (!this.#collectsIo) return;
    const counts = this.threads.ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.io.mmio(access, gpa);
  }

  fastMmio(_timeNs: number, cpu: number, tid: number, gpa: number): void {
    if (this.#collectsIo) this.threads.ofThread(cpu, tid).io.fastMmio(gpa);
  }

  index(_timeNs: number, cpu: number, tid: number, kind: IndexKind, index: number): void {
    if (this.#collectsIndices) this.threads.ofThread(cpu, tid).countIndex(kind, index);
  }

  apicvInhibit(_timeNs: number, _cpu: number, tid: number, reason: number, isOn: boolean): void {
    if (this.#collectsIndices) this.apicv.change(tid, reason, isOn);
  }

  interrupt(_timeNs: number, _cpu: number, tid: number): void {
    addCount(this.interrupts, tid, 1);
  }

  gapAhead(_cpu: number): void {
    this.#openGaps++;
    this.#gaps++;
  }

  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    this.markers.qemuRunExit(timeNs, id, cpuIndex, reason);
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    this.markers.qemuEvent(timeNs, id, event);
  }

  qemuSignal(timeNs: number, id: number, signal: QemuSignal, device: number): void {
    this.markers.qemuSignal(timeNs, id, signal, device);
  }

  qemuDevice(id: number, device: number, name: string): void {
    this.markers.qemuDevice(id, device, name);
  }

  qemuRegion(id: number, address: number, name: string): void {
    this.markers.qemuRegion(id, address, name);
  }

  setIoeventfd(id: number, mmio: boolean, address: number, assign: boolean): void {
    this.markers.setIoeventfd(id, mmio, address, assign);
  }

  lost(cpu: number, count: number): void {
    this.#openGaps = Math.max(0, this.#openGaps - 1);
    this.#gaps++;
    this.source.addLost(cpu, count);
  }

  /** The buffers were closed: no exit before is paired with an entry after, and gaps in the buffers have ended. */
  endBuffers(): void {
    this.#openGaps = 0;
    this.#gaps++;
    this.source.endBuffers();
  }

  malformed(kind: MalformedKind): void {
    this.source.addMalformed(kind);
  }

  #gapsNow(): number {
    if (this.#openGaps > 0) this.#gaps++;
    return this.#gaps;
  }
}
