import type { Names } from '../trace/names.js';
import { addCounters, type Counters, newCounters } from './counters/counters.js';
import { IDLE_MS, IdleThreads } from './idle-threads.js';
import type { KernelCounts, KernelCountsOptions } from './kernel-counts.js';
import type { QemuOwner, QemuView } from './qemu-views.js';
import type { Steps } from './stepwise.js';
import { type Attribution, type OpenThread, type ThreadOwner, ThreadOwners } from './thread-owners.js';
import { ThreadTimes } from './time/thread-times.js';
import type { Usage } from './time/usage.js';
import { addAllTime } from './time/vcpu-time.js';
import type { VmTotals } from './totals/vm-totals.js';
import { TraceList } from './trace-list.js';
import { ExitTimer } from './vcpu/exit-timer.js';

/**
 * Threads above which those of no known VM are merged as soon as they are idle, and above which all threads are; each
 * takes some 2.5 KB. A host with 32,768 vCPUs that run at a time is not known.
 */
const MANY_THREADS = 8192;
const TOO_MANY_THREADS = 32_768;

/** Adding up so many takes a few milliseconds. */
const VCPUS_OF_A_STEP = 1000;

/** Legs of a trace that proves nothing of them. */
const NO_LEGS = new ExitTimer(new Uint8Array(0));

/** What a live trace reports of threads; times are on the agent's clock. */
export interface ThreadEvents {
  /** Thread `tid` has started another thread of its process. */
  onStart(tid: number, started: number, atMs: number): void;
  onEnd(tid: number, atMs: number): void;
}

/** The threads of all kernel traces, and the owner that each of them has. */
export class KernelThreads {
  readonly traces = new TraceList();
  readonly #owners: ThreadOwners;
  readonly #times = new ThreadTimes();
  readonly #idleThreads = new IdleThreads();
  /** False if the traces have holes in which vCPUs spend time unseen. */
  readonly #usesLegs: boolean;
  /** True once a recording has been read to its end. */
  #isSettled = false;

  /** @param usesLegs false if times of vCPUs are to come from their threads' usage alone */
  constructor(attribution: Attribution, usesLegs = true) {
    this.#usesLegs = usesLegs;
    this.#owners = new ThreadOwners(attribution, (from, to) => this.#moveCounts(from, to));
  }

  /**
   * Creates the counters for a trace.
   * @param threadEvents if undefined, as in a report, ends of threads are ignored, and all threads with one id are one
   * thread
   */
  addTrace(name: string, options: KernelCountsOptions, threadEvents?: ThreadEvents): KernelCounts {
    const counts = this.traces.add(name, {
      ...options,
      onThreadStart: (tid, started, timeNs) => threadEvents?.onStart(tid, started, timeNs / 1e6 + counts.clockOffsetMs),
      onThreadEnd: (tid, timeNs) => {
        if (threadEvents === undefined || !this.#isKnown(tid)) return;
        const atMs = timeNs / 1e6 + counts.clockOffsetMs;
        counts.timesUntil(tid, atMs);
        this.#end(tid, atMs);
        threadEvents.onEnd(tid, atMs);
      },
    });
    return counts;
  }

  /** The owner under which the counts of a thread are shown; undefined while they are withheld. */
  ownerOf(tid: number): ThreadOwner | undefined {
    return this.#owners.ownerOf(tid);
  }

  /** True while the counts of a thread are withheld. */
  get isWithholding(): boolean {
    return this.#owners.isWithholding;
  }

  /**
   * Finds the owner of every thread that has events. Returns the threads that ran a vCPU and belong to no known VM.
   * Other unknown threads are not worth a look-up: any process can write a marker or send an interrupt.
   * @param nowMs on the agent's clock; Infinity: no counts are withheld from now on
   */
  resolveOwners(nowMs: number): number[] {
    const unknown: number[] = [];
    // With so many threads, their counts take too much memory to be withheld.
    const untilMs = this.traces.threadCount > TOO_MANY_THREADS ? Number.POSITIVE_INFINITY : nowMs;
    for (const [tid, thread] of this.#openThreads()) {
      const { vm } = this.#owners.resolve(tid, thread, untilMs);
      if (vm === undefined && thread.ranVcpu && tid > 0) unknown.push(tid);
      if (this.#owners.ownerOf(tid) !== undefined) this.traces.seal(tid);
    }
    return unknown;
  }

  /**
   * Adds what the kernel says of a vCPU thread's time since the last call.
   * @param usage undefined if the thread was read for the first time
   * @param tracedToMs time until which the trace's events are counted, on the agent's clock; undefined if no trace is
   *   read
   */
  addUsage(tid: number, usage: Usage | undefined, tracedToMs: number | undefined): void {
    const counts = this.traces.traceOf(tid);
    // The kernel knows the time of the thread, not which of its vCPUs had it.
    if (counts?.threads.runsSeveralVcpus(tid)) return;
    const isTraced = this.#usesLegs && tracedToMs !== undefined;
    this.#times.add(tid, usage, isTraced ? counts?.timesUntil(tid, tracedToMs) : undefined);
  }

  /** A thread has ended, and the kernel may reuse its id: its counts stay with its VM. */
  end(tid: number): void {
    this.#end(tid, this.traces.lastEventMs(tid));
  }

  /**
   * Merges the counts of idle threads of no known VM: they accumulate over days (short-lived VMs, processes that an
   * interrupt happened to hit). They are idle after a minute, and sooner if there are many, because a process can have
   * any number of threads that run a vCPU once. Call it after `resolveOwners`, every few seconds.
   */
  mergeIdle(nowMs: number): void {
    const threads = this.traces.threadCount;
    const events = this.#eventsOf(({ vm }) => vm === undefined || threads > TOO_MANY_THREADS);
    for (const tid of this.#idleThreads.find(events, nowMs, threads > MANY_THREADS ? 0 : IDLE_MS)) this.end(tid);
  }

  /** True if a trace shows where the vCPU of a thread spends its time. */
  provesTime(tid: number): boolean {
    return this.#usesLegs && this.traces.provesTime(tid);
  }

  /**
   * The traces show nothing of vCPUs for a while: no event before is paired with one after.
   * @param isShown true for the labels of VMs that they go on to show
   */
  forgetOpen(isShown: (label: string) => boolean): void {
    for (const vcpu of this.traces.vcpus())
      if (!isShown(labelOf(this.#owners.ownerOf(vcpu.tid)) ?? '')) vcpu.forgetOpen();
  }

  /** Call it at the end of a recording: counts the accesses whose outcome is still open. */
  settle(): void {
    this.#isSettled = true;
    for (const { io } of this.traces.vcpus()) io.end();
  }

  /** Drops everything that was counted for VMs with this label. */
  forget(label: string): void {
    for (const tid of this.#owners.forget(label)) {
      this.traces.forget(tid);
      this.#times.forget(tid);
    }
  }

  /**
   * Adds the counts of each thread, except QEMU's markers, to the totals of its VM; of no known VM: label ''.
   * Between two steps no thread may come or go.
   */
  *addTo(totalsOf: (label: string) => VmTotals): Steps<void> {
    let added = 0;
    for (const { counts } of this.traces.all) {
      // Only a whole recording can lack them. Live, their tracepoint is always on.
      const showsUserspaceExits = !this.#isSettled || hasUserspaceExits(counts);
      for (const vcpu of counts.threads.vcpus()) {
        const owner = this.#owners.ownerOf(vcpu.tid);
        if (owner === undefined) continue;
        const number = vcpu.vcpu >= 0 ? String(vcpu.vcpu) : owner.vcpu;
        const totals = totalsOf(owner.vm?.label ?? '');
        totals.add(number, vcpu, showsUserspaceExits);
        this.#times.addTraced(vcpu.tid, vcpu.vcpu, this.#usesLegs ? vcpu.exitTimer : NO_LEGS, totals.vcpu(number).time);
        if (++added % VCPUS_OF_A_STEP === 0) yield;
      }
      for (const [tid, interrupts] of counts.interrupts) {
        const owner = this.#owners.ownerOf(tid);
        if (owner?.vcpu === '') totalsOf(owner.vm?.label ?? '').interrupts += interrupts;
      }
      for (const tid of counts.apicv.threadIds()) {
        const owner = this.#owners.ownerOf(tid);
        if (owner !== undefined) counts.apicv.addTo(totalsOf(owner.vm?.label ?? '').apicv, tid);
      }
    }
    this.#addUntracedTimes(totalsOf);
  }

  /** Sums of the counters by slot, of the VMs with these labels. */
  sums(labels: ReadonlySet<string>): Map<string, Counters> {
    const sums = new Map(Array.from(labels, (label): [string, Counters] => [label, newCounters()]));
    for (const vcpu of this.traces.vcpus()) {
      const label = this.#owners.ownerOf(vcpu.tid)?.vm?.label ?? '';
      const sum = sums.get(label);
      if (sum !== undefined) sums.set(label, addCounters(sum, vcpu.counts));
    }
    return sums;
  }

  /** Thread of a VM -> exits that the traces have shown. */
  exitsByThread(label: string): Map<number, number> {
    const exits = new Map<number, number>();
    for (const { tid, layout, counts } of this.traces.vcpus())
      if (labelOf(this.#owners.ownerOf(tid)) === label)
        exits.set(tid, (exits.get(tid) ?? 0) + layout.total('exits', counts));
    return exits;
  }

  /** QEMU's markers in the traces. */
  markerViews(names: Names): QemuView[] {
    const owner: QemuOwner = {
      labelOf: (tid) => labelOf(this.#owners.ownerOf(tid)),
      isVcpu: (tid) => (this.#owners.ownerOf(tid)?.vcpu ?? '') !== '',
    };
    return this.traces.markerViews(names, owner);
  }

  /** Adds the times of vCPUs without events, such as those that are halted for ever. */
  #addUntracedTimes(totalsOf: (label: string) => VmTotals): void {
    for (const tid of this.#times.ids()) {
      const owner = this.#owners.ownerOf(tid);
      if (owner === undefined) continue;
      const hadEvents = (vcpu?: number) => this.traces.hasVcpu(tid, vcpu);
      for (const time of this.#times.untraced(tid, hadEvents))
        addAllTime(totalsOf(owner.vm?.label ?? '').vcpu(owner.vcpu).time, time);
    }
  }

  /** The threads whose owner is not settled, or not fully known. */
  #openThreads(): Map<number, OpenThread> {
    const open = new Map<number, OpenThread>();
    const add = (tid: number, ranVcpu: boolean, needsVcpu: boolean, lastEventMs: (tid: number) => number) => {
      if (!this.#owners.isOpen(tid, needsVcpu)) return;
      const known = open.get(tid) ?? { ranVcpu: false, needsVcpu: false, atMs: lastEventMs(tid) };
      known.ranVcpu ||= ranVcpu;
      known.needsVcpu ||= needsVcpu;
      open.set(tid, known);
    };
    for (const { counts } of this.traces.all) {
      const lastEventMs = (tid: number) => counts.lastEventMs(tid);
      for (const { tid, vcpu } of counts.threads.vcpus()) add(tid, true, vcpu < 0, lastEventMs);
      for (const tid of counts.markers.runExits.keys()) add(tid, true, false, lastEventMs);
      for (const tid of counts.markers.events.keys()) add(tid, false, false, lastEventMs);
      for (const tid of counts.interrupts.keys()) add(tid, false, false, lastEventMs);
      for (const tid of counts.apicv.threadIds()) add(tid, false, false, lastEventMs);
    }
    for (const tid of this.#times.ids()) add(tid, false, false, () => Number.NaN);
    return open;
  }

  /** True if the thread has counts, or an owner: its counts may all have been shown under another one. */
  #isKnown(tid: number): boolean {
    return this.#owners.ownerOf(tid) !== undefined || this.#hasCounts(tid);
  }

  #hasCounts(tid: number): boolean {
    return this.#times.has(tid) || this.traces.hasCounts(tid);
  }

  #end(tid: number, atMs: number): void {
    if (this.#hasCounts(tid)) this.#moveCounts(tid, this.#owners.end(tid, atMs));
    else this.#owners.drop(tid);
  }

  #moveCounts(from: number, to: number): void {
    this.#times.move(from, this.traces.vcpuOf(from), to);
    this.traces.moveCounts(from, to);
  }

  /** The number of events of each live thread whose owner is settled and chosen. */
  #eventsOf(isChosen: (owner: ThreadOwner) => boolean): Map<number, number> {
    return this.traces.eventsOf((tid) => {
      const owner = tid > 0 ? this.#owners.ownerOf(tid) : undefined;
      return owner !== undefined && isChosen(owner);
    });
  }
}

function hasUserspaceExits(counts: KernelCounts): boolean {
  for (const vcpu of counts.threads.vcpus()) if (vcpu.layout.total('userspaceExits', vcpu.counts) > 0) return true;
  return false;
}

/** The label is '' for threads of no known VM; undefined while the counts of the thread are withheld. */
function labelOf(owner: ThreadOwner | undefined): string | undefined {
  return owner === undefined ? undefined : (owner.vm?.label ?? '');
}
