import type { MalformedKind, MmioAccess, QemuSignal, TraceSink } from '../trace/sink.js';
import { addCount, type Counters, newCounters, withRoomFor } from './counters/counters.js';
import { SourceCounts } from './counters/source-counts.js';
import { type KernelCoverage, QemuCounts } from './qemu/qemu-counts.js';
import type { ExitTimer } from './vcpu/exit-timer.js';
import type { KnownReasons } from './vcpu/known-reasons.js';
import { type Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';

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

/** Number of host CPUs whose latest thread is remembered; CPUs beyond it share entries. A power of two. */
const LATEST_ENTRIES = 64;

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
  readonly #threads = new Map<number, VcpuCounts>();
  readonly #onThread: ThreadListener;
  readonly #onThreadStart: ThreadStartListener;
  readonly #onThreadEnd: ThreadEndListener;
  readonly #collectors: Collectors;
  readonly #collectsIo: boolean;
  readonly #reasons: KnownReasons;
  /** The vCPU of the latest event of each host CPU: nearly always the next event is of the same thread. */
  readonly #latest: (VcpuCounts | undefined)[] = Array.from({ length: LATEST_ENTRIES }, () => undefined);
  #newThreads: number[] = [];
  /** Number of times that a gap in the trace began or ended. */
  #gaps = 0;
  /** Number of CPUs whose events are missing at this moment. Until that ends, no exit of any CPU can be paired. */
  #openGaps = 0;
  /** Thread id -> interrupts that the thread injected (kvm_msi_set_irq). */
  readonly interrupts = new Map<number, number>();

  constructor({ collectors, reasons, coverage, ...listeners }: KernelCountsOptions) {
    const { onThread = () => {}, onThreadStart = () => {}, onThreadEnd = () => {} } = listeners;
    this.markers = new QemuCounts(coverage === undefined ? {} : { coverage });
    this.#collectors = collectors;
    this.#collectsIo = collectors.io || collectors.eventfd;
    this.#reasons = reasons;
    this.#onThread = onThread;
    this.#onThreadStart = onThreadStart;
    this.#onThreadEnd = onThreadEnd;
  }

  *vcpus(): IterableIterator<VcpuCounts> {
    for (const current of this.#threads.values()) {
      let counts = current;
      do {
        yield counts;
        counts = counts.next;
      } while (counts !== current);
    }
  }

  /** Number of threads that have counts of vCPUs. */
  get threadCount(): number {
    return this.#threads.size;
  }

  /** Returns the threads that had their first event since the last call. */
  takeNewThreads(): readonly number[] {
    const tids = this.#newThreads;
    if (tids.length > 0) this.#newThreads = [];
    return tids;
  }

  /** Adds the counts of thread `from` to those of `to`, and drops `from`. */
  moveCounts(from: number, to: number): void {
    const first = this.#threads.get(from);
    const interrupts = this.interrupts.get(from);
    this.forget(from);
    if (interrupts !== undefined) addCount(this.interrupts, to, interrupts);
    if (first === undefined) return;
    let counts = first;
    do {
      this.#merged(to, counts.vcpu).absorb(counts);
      counts = counts.next;
    } while (counts !== first);
  }

  /**
   * The times of a thread's vCPU until `atMs` on the agent's clock, by when all events are counted; NaN: until its
   * latest event. Undefined if the thread has no events.
   */
  timesUntil(tid: number, atMs = Number.NaN): ExitTimer | undefined {
    const vcpu = this.#threads.get(tid);
    vcpu?.exitTimer.settle((atMs - this.clockOffsetMs) * 1e6);
    return vcpu?.exitTimer;
  }

  /** True if the thread had events of this vCPU, by default of any. */
  hasVcpu(tid: number, vcpu?: number): boolean {
    const first = this.#threads.get(tid);
    let counts = first;
    while (counts !== undefined && vcpu !== undefined && counts.vcpu !== vcpu)
      counts = counts.next === first ? undefined : counts.next;
    return counts !== undefined;
  }

  /** The vCPU that the thread ran last; -1 if no event names one. */
  vcpuOf(tid: number): number {
    return this.#threads.get(tid)?.vcpu ?? -1;
  }

  runsSeveralVcpus(tid: number): boolean {
    const counts = this.#threads.get(tid);
    return counts !== undefined && counts.next !== counts;
  }

  hasCounts(tid: number): boolean {
    return this.#threads.has(tid) || this.interrupts.has(tid) || this.markers.events.has(tid);
  }

  /** Time of a thread's latest event on the agent's clock; NaN if it is not known. */
  lastEventMs(tid: number): number {
    const ns = this.#threads.get(tid)?.exitTimer.nowNs ?? Number.NaN;
    return (Number.isNaN(ns) ? this.lastTimeNs : ns) / 1e6 + this.clockOffsetMs;
  }

  /** The counts of a thread have been shown: its events without a vCPU number stay where they are. */
  seal(tid: number): void {
    const first = this.#threads.get(tid);
    if (first === undefined) return;
    let counts = first;
    do {
      counts.isSealed = true;
      counts = counts.next;
    } while (counts !== first);
  }

  forget(tid: number): void {
    this.#threads.delete(tid);
    this.interrupts.delete(tid);
    this.#dropLatest(tid);
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

  vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number, _info2: number): void {
    const counts = this.#ofVcpu(cpu, tid, vcpu);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.exit(reason, info1 | 0);
  }

  vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    const counts = this.#ofVcpu(cpu, tid, vcpu);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.entry();
  }

  userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    const counts = this.#ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.nowNs = timeNs;
    counts.userspaceExit(reason);
  }

  portIo(_timeNs: number, cpu: number, tid: number, write: boolean, port: number, _size: number): void {
    if (!this.#collectsIo) return;
    const counts = this.#ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.io.portIo(write, port);
  }

  mmio(_timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    if (!this.#collectsIo) return;
    const counts = this.#ofThread(cpu, tid);
    counts.noteGaps(this.#gapsNow());
    counts.io.mmio(access, gpa);
  }

  fastMmio(_timeNs: number, cpu: number, tid: number, gpa: number): void {
    if (this.#collectsIo) this.#ofThread(cpu, tid).io.fastMmio(gpa);
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

  /** The vCPU that a thread ran last: events that name no vCPU belong to it. */
  #ofThread(cpu: number, tid: number): VcpuCounts {
    const latest = this.#latest[cpu & (LATEST_ENTRIES - 1)];
    if (latest !== undefined && latest.tid === tid) return latest;
    let counts = this.#threads.get(tid);
    if (counts === undefined) {
      counts = this.#newVcpu(tid, -1);
      this.#threads.set(tid, counts);
      this.#newThreads.push(tid);
    }
    this.#latest[cpu & (LATEST_ENTRIES - 1)] = counts;
    return counts;
  }

  #ofVcpu(cpu: number, tid: number, vcpu: number): VcpuCounts {
    const counts = this.#ofThread(cpu, tid);
    if (counts.vcpu === vcpu || vcpu < 0) return counts;
    if (counts.vcpu < 0 && !counts.isSealed) {
      counts.vcpu = vcpu;
      return counts;
    }
    return this.#switchVcpu(counts, vcpu);
  }

  #switchVcpu(current: VcpuCounts, vcpu: number): VcpuCounts {
    const { tid } = current;
    let counts = current.next;
    while (counts.vcpu !== vcpu && counts !== current) counts = counts.next;
    if (counts.vcpu !== vcpu) {
      counts = this.#newVcpu(tid, vcpu);
      counts.next = current.next;
      current.next = counts;
    }
    this.#threads.set(tid, counts);
    this.#dropLatest(tid);
    return counts;
  }

  /** The counts of one vCPU (-1: of events that name none) under the id of ended threads, which have no new events. */
  #merged(id: number, vcpu: number): VcpuCounts {
    const first = this.#threads.get(id);
    let counts = first;
    while (counts !== undefined && counts.vcpu !== vcpu) counts = counts.next === first ? undefined : counts.next;
    if (counts !== undefined) return counts;
    counts = this.#newVcpu(id, vcpu);
    if (first === undefined) this.#threads.set(id, counts);
    else {
      counts.next = first.next;
      first.next = counts;
    }
    return counts;
  }

  /** Call it when a thread ended or runs another vCPU, which is rare. */
  #dropLatest(tid: number): void {
    for (const [cpu, counts] of this.#latest.entries()) if (counts?.tid === tid) this.#latest[cpu] = undefined;
  }

  #newVcpu(tid: number, vcpu: number): VcpuCounts {
    return new VcpuCounts(tid, vcpu, this.#collectors, this.#reasons);
  }
}
