import type { ExitTimer } from './vcpu/exit-timer.js';
import type { KnownReasons } from './vcpu/known-reasons.js';
import { type Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';

/** Number of host CPUs whose latest thread is remembered; CPUs beyond it share entries. A power of two. */
const LATEST_ENTRIES = 64;

/**
 * The counts of each thread of one kernel trace. Nearly every thread runs one vCPU; those of a thread that runs several
 * are a ring, and the map holds the one that it ran last.
 */
export class ThreadVcpus {
  readonly #threads = new Map<number, VcpuCounts>();
  readonly #collectors: Collectors;
  readonly #reasons: KnownReasons;
  /** The vCPU of the latest event of each host CPU: nearly always the next event is of the same thread. */
  readonly #latest: (VcpuCounts | undefined)[] = Array.from({ length: LATEST_ENTRIES }, () => undefined);
  #newThreads: number[] = [];

  constructor(collectors: Collectors, reasons: KnownReasons) {
    this.#collectors = collectors;
    this.#reasons = reasons;
  }

  /** The vCPU that a thread ran last: events that name no vCPU belong to it. */
  ofThread(cpu: number, tid: number): VcpuCounts {
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

  ofVcpu(cpu: number, tid: number, vcpu: number): VcpuCounts {
    const counts = this.ofThread(cpu, tid);
    if (counts.vcpu === vcpu || vcpu < 0) return counts;
    if (counts.vcpu < 0 && !counts.isSealed) {
      counts.vcpu = vcpu;
      return counts;
    }
    return this.#switchVcpu(counts, vcpu);
  }

  /** Adds the counts of thread `from` to those of `to`, which has ended, and drops `from`. */
  move(from: number, to: number): void {
    const first = this.#threads.get(from);
    this.forget(from);
    if (first === undefined) return;
    let counts = first;
    do {
      this.#merged(to, counts.vcpu).absorb(counts);
      counts = counts.next;
    } while (counts !== first);
  }

  forget(tid: number): void {
    this.#threads.delete(tid);
    this.#dropLatest(tid);
  }

  has(tid: number): boolean {
    return this.#threads.has(tid);
  }

  /** Legs and times of the vCPU that the thread ran last. */
  timerOf(tid: number): ExitTimer | undefined {
    return this.#threads.get(tid)?.exitTimer;
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
  get count(): number {
    return this.#threads.size;
  }

  /** Returns the threads that had their first event since the last call. */
  takeNew(): readonly number[] {
    const tids = this.#newThreads;
    if (tids.length > 0) this.#newThreads = [];
    return tids;
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
