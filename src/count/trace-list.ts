import type { Names } from '../trace/names.js';
import { addCount, addCounters, type Counters, newCounters, sumCounters } from './counters/counters.js';
import { KernelCounts, type KernelCountsOptions } from './kernel-counts.js';
import type { QemuOwner, QemuView } from './qemu-views.js';
import type { VcpuCounts } from './vcpu/vcpu-counts.js';

/** The counts of all kernel traces, each by thread. */
export class TraceList {
  readonly #traces: { readonly name: string; readonly counts: KernelCounts }[] = [];

  add(name: string, options: KernelCountsOptions): KernelCounts {
    const counts = new KernelCounts(options);
    this.#traces.push({ name, counts });
    return counts;
  }

  /** Name and counts of each trace. */
  get all(): Iterable<{ readonly name: string; readonly counts: KernelCounts }> {
    return this.#traces;
  }

  /** The counts of every vCPU; those of a vCPU that ran on several threads are separate. */
  *vcpus(): IterableIterator<VcpuCounts> {
    for (const { counts } of this.#traces) yield* counts.threads.vcpus();
  }

  /** Ids of the threads that ran a vCPU, some of them several times; also the synthetic ids of ended threads. */
  *vcpuThreadIds(): IterableIterator<number> {
    for (const { counts } of this.#traces) {
      for (const { tid } of counts.threads.vcpus()) yield tid;
      yield* counts.markers.runExits.keys();
    }
  }

  /** Number of threads that have counts of vCPUs. */
  get threadCount(): number {
    return this.#traces.reduce((sum, { counts }) => sum + counts.threads.count, 0);
  }

  /** Hits by id of the tracepoint, whichever thread they are of. */
  tracepointHits(): Counters {
    return this.#traces.reduce((sum, { counts }) => addCounters(sum, counts.hits), newCounters());
  }

  /** QEMU's markers in the traces. */
  markerViews(names: Names, owner: QemuOwner): QemuView[] {
    return this.#traces.map(({ counts }) => ({ backend: 'ftrace', counts: counts.markers, owner, names }));
  }

  /** The trace in which a thread ran a vCPU. */
  traceOf(tid: number): KernelCounts | undefined {
    return this.#traces.find(({ counts }) => counts.threads.hasVcpu(tid))?.counts;
  }

  hasVcpu(tid: number, vcpu?: number): boolean {
    return this.#traces.some(({ counts }) => counts.threads.hasVcpu(tid, vcpu));
  }

  hasCounts(tid: number): boolean {
    return this.#traces.some(({ counts }) => counts.hasCounts(tid));
  }

  /** True if a trace shows where the vCPU of a thread spends its time. */
  provesTime(tid: number): boolean {
    return this.#traces.some(({ counts }) => counts.timesUntil(tid)?.provesTime === true);
  }

  /** Time of the latest event of a thread that has not ended, on the agent's clock; NaN if there is none. */
  lastEventMs(tid: number): number {
    const times = this.#traces.flatMap(({ counts }) => (counts.hasCounts(tid) ? [counts.lastEventMs(tid)] : []));
    return times.length === 0 ? Number.NaN : Math.max(...times);
  }

  /** The vCPU that events name for a live thread; -1 if none does. */
  vcpuOf(tid: number): number {
    return Math.max(-1, ...this.#traces.map(({ counts }) => counts.threads.vcpuOf(tid)));
  }

  /** The counts of a thread have been shown: its events without a vCPU number stay where they are. */
  seal(tid: number): void {
    for (const { counts } of this.#traces) counts.threads.seal(tid);
  }

  forget(tid: number): void {
    for (const { counts } of this.#traces) {
      counts.forget(tid);
      counts.markers.forget(tid);
    }
  }

  moveCounts(from: number, to: number): void {
    for (const { counts } of this.#traces) {
      counts.moveCounts(from, to);
      counts.markers.moveCounts(from, to);
    }
  }

  /** The number of events of each live thread that is wanted. */
  eventsOf(isWanted: (tid: number) => boolean): Map<number, number> {
    const events = new Map<number, number>();
    for (const { counts } of this.#traces) {
      for (const vcpu of counts.threads.vcpus())
        if (isWanted(vcpu.tid)) addCount(events, vcpu.tid, sumCounters(vcpu.counts));
      for (const [tid, interrupts] of counts.interrupts) if (isWanted(tid)) addCount(events, tid, interrupts);
      for (const [tid, own] of counts.markers.events) if (isWanted(tid)) addCount(events, tid, sumCounters(own));
    }
    return events;
  }
}
