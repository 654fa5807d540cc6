import { collectorsWhere } from '../trace/collectors.js';
import { Names } from '../trace/names.js';
import type { Vocabulary } from '../trace/sink.js';
import { BusiestAddresses } from './busiest-addresses.js';
import { addCount, addCounters, newCounters, sumCounters } from './counters/counters.js';
import { SourceCounts } from './counters/source-counts.js';
import { IdleThreads } from './idle-threads.js';
import { KernelCounts, type ThreadListener } from './kernel-counts.js';
import type { LedgerTotals } from './ledger-totals.js';
import { SharedRoom } from './qemu/counter-room.js';
import { QemuCounts } from './qemu/qemu-counts.js';
import {
  addQemuViews,
  ioeventfdsByVm,
  type QemuBackend,
  type QemuOwner,
  type QemuView,
  qemuEventsByVm,
} from './qemu-views.js';
import { type Attribution, type OpenThread, type ThreadOwner, ThreadOwners, type VmIdentity } from './thread-owners.js';
import { ExitDurations } from './vcpu/exit-durations.js';
import { KnownReasons } from './vcpu/known-reasons.js';
import type { Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';
import { VmTotals } from './vm-totals.js';

export interface LedgerOptions {
  readonly collectors?: Collectors;
  /** Number of addresses per VM that have series of their own. */
  readonly ioAddresses?: number;
  /** Names that have room in the vocabulary, whatever the input holds. */
  readonly knownNames?: { readonly [Table in keyof Vocabulary]?: ReadonlySet<string> };
}

/** Together with all known reasons fewer than the slots of a counter layout. */
const MAX_UNKNOWN_REASONS = 256;

export const ALL_COLLECTORS: Collectors = collectorsWhere(() => true);

interface Named<Counts> {
  readonly name: string;
  readonly counts: Counts;
}

/**
 * The counters of all sources, and the rule that combines them: nothing is counted twice.
 *
 * `kvm_userspace_exit` (kernel) and `kvm_run_exit` (QEMU) show the same transition. In a recording the kernel's count
 * is used for a VM that occurs in its trace, QEMU's count for any other VM. Live, the kernel counts for all VMs while
 * its trace is read (`kernelCountsAll`), and QEMU at other times: each exit is counted once, when it happens, so no
 * counter decreases when the one takes over from the other. qemu-views.ts combines the backends of QEMU.
 */
export class Ledger {
  readonly vocabulary: Vocabulary;
  readonly collectors: Collectors;
  readonly #reasons: KnownReasons;
  /** True once a recording has been read to its end. */
  #isSettled = false;
  readonly #attribution: Attribution;
  readonly #ioAddresses: number;
  readonly #kernel: Named<KernelCounts>[] = [];
  #qemu: QemuView[] = [];
  /** Counts about sources that are shown even without a file (backends of QEMU), or that count no events of VMs. */
  readonly #otherSources = new Map<string, SourceCounts>();
  /** Whether the kernel counts the userspace exits of all VMs, now and at any time so far. */
  readonly #sharedRoom = new SharedRoom();
  readonly #coverage = { now: false, ever: false };
  readonly #owners: ThreadOwners;
  readonly #idleThreads = new IdleThreads();
  /** Label of the VM -> the addresses that have series of their own. */
  readonly #busiest = new Map<string, BusiestAddresses>();
  /** Label of the VM -> the histograms that its vCPUs share. */
  readonly #durations = new Map<string, ExitDurations>();

  constructor(
    attribution: Attribution,
    { collectors = ALL_COLLECTORS, ioAddresses = 20, knownNames = {} }: LedgerOptions = {},
  ) {
    this.vocabulary = {
      reasons: new Names(MAX_UNKNOWN_REASONS, knownNames.reasons),
      tracepoints: new Names(2048, knownNames.tracepoints),
      qemuEvents: new Names(8192, knownNames.qemuEvents),
    };
    this.#reasons = new KnownReasons(this.vocabulary.reasons);
    this.#attribution = attribution;
    this.#owners = new ThreadOwners(attribution, (from, to) => this.#moveCounts(from, to));
    this.collectors = collectors;
    this.#ioAddresses = ioAddresses;
  }

  /**
   * Creates the counters for a kernel trace.
   * @param name label of the source's own metrics
   * @param onThreadEnd called with a thread that ends, and when on the agent's clock. If undefined, as in a report,
   * ends of threads are ignored, and all threads with one id are one thread.
   */
  kernelSource(
    name: string,
    onThread?: ThreadListener,
    onThreadEnd?: (tid: number, atMs: number) => void,
  ): KernelCounts {
    const counts = new KernelCounts({
      collectors: this.collectors,
      reasons: this.#reasons,
      onThread,
      onThreadEnd: (tid, timeNs) => {
        if (onThreadEnd === undefined) return;
        const atMs = timeNs / 1e6 + counts.clockOffsetMs;
        this.#endThread(tid, atMs);
        onThreadEnd(tid, atMs);
      },
      coverage: this.#coverage,
    });
    this.#kernel.push({ name, counts });
    return counts;
  }

  /** Set to true while a live kernel trace counts the userspace exits of every VM. */
  set kernelCountsAll(now: boolean) {
    this.#coverage.now = now;
    this.#coverage.ever ||= now;
  }

  /** Creates the counters for a trace file of QEMU. */
  qemuSource(backend: QemuBackend, owner: QemuOwner, source = new SourceCounts()): QemuCounts {
    const counts = new QemuCounts({ coverage: this.#coverage, source, sharedRoom: this.#sharedRoom });
    this.#qemu.push({ backend, counts, owner });
    return counts;
  }

  /** Counts about all files of a backend together; they exist even without a file. */
  qemuBackend(backend: QemuBackend): SourceCounts {
    const name = `qemu_${backend}`;
    const counts = this.#otherSources.get(name) ?? new SourceCounts();
    this.#otherSources.set(name, counts);
    return counts;
  }

  /** Adds a source that counts no events of VMs. */
  addSource(name: string, counts: SourceCounts): void {
    this.#otherSources.set(name, counts);
  }

  /** Drops a file and everything that was counted from it. */
  dropQemuSource(counts: QemuCounts): void {
    counts.release();
    this.#qemu = this.#qemu.filter((view) => view.counts !== counts);
  }

  /** Call it at the end of a recording: counts the accesses whose outcome is still open. */
  settle(): void {
    this.#isSettled = true;
    for (const { io } of this.vcpus()) io.end();
  }

  /** The counts of every vCPU in the kernel traces; those of a vCPU that ran on several threads are separate. */
  *vcpus(): IterableIterator<VcpuCounts> {
    for (const { counts } of this.#kernel) yield* counts.vcpus();
  }

  /** Ids of the threads that ran a vCPU, some of them several times; also the synthetic ids of ended threads. */
  *vcpuThreadIds(): IterableIterator<number> {
    for (const { counts } of this.#kernel) {
      for (const { tid } of counts.vcpus()) yield tid;
      yield* counts.markers.runExits.keys();
    }
  }

  /**
   * Finds the owner of every thread that has events, while the threads still live. Returns the threads that ran a vCPU
   * and belong to no known VM. Other unknown threads are not worth a look-up: any process can write a marker or send an
   * interrupt.
   * @param nowMs on the agent's clock; Infinity: no counts are withheld from now on
   */
  resolveOwners(nowMs: number): number[] {
    const unknown: number[] = [];
    for (const [tid, thread] of this.#openThreads()) {
      const { vm } = this.#owners.resolve(tid, thread, nowMs);
      if (vm === undefined && thread.ranVcpu && tid > 0) unknown.push(tid);
      if (this.#owners.ownerOf(tid) !== undefined) for (const { counts } of this.#kernel) counts.seal(tid);
    }
    // Each owner remembers its answers.
    for (const { counts, owner } of this.#qemu) for (const id of counts.events.keys()) owner.labelOf(id);
    this.#shareIoeventfds();
    if (this.collectors.duration) this.#shareDurations();
    return unknown;
  }

  /** True while the counts of a thread are withheld: call {@link resolveOwners} soon. */
  get isWithholding(): boolean {
    return this.#owners.isWithholding;
  }

  /** A thread has ended, and the kernel may reuse its id: its counts stay with its VM. */
  endThread(tid: number): void {
    this.#endThread(tid, Math.max(...this.#kernel.map(({ counts }) => counts.lastEventMs(tid))));
  }

  /** Merges the counts of threads of no known VM that have been idle for a minute. Call it after `resolveOwners`. */
  mergeIdleThreads(nowMs: number): void {
    for (const tid of this.#idleThreads.find(this.#eventsOfUnknownThreads(), nowMs)) this.endThread(tid);
  }

  /** Drops everything that was counted for VMs with this label. */
  forget({ label }: VmIdentity): void {
    this.#busiest.delete(label);
    this.#durations.delete(label);
    for (const tid of this.#owners.forget(label)) {
      for (const { counts } of this.#kernel) {
        counts.forget(tid);
        counts.markers.forget(tid);
      }
    }
    for (const { counts, owner } of this.#qemu)
      for (const id of [...counts.events.keys()]) if (owner.vmOf?.(id)?.label === label) counts.forget(id);
  }

  /** @param nowMs on the agent's clock; Infinity: nothing is withheld */
  totals(nowMs = Number.POSITIVE_INFINITY): LedgerTotals {
    this.resolveOwners(nowMs);
    const vms = this.#sum();
    for (const vm of this.#busiest.keys()) if (!vms.has(vm)) this.#busiest.delete(vm);
    return {
      vocabulary: this.vocabulary,
      layout: this.#reasons.layout,
      collectors: this.collectors,
      vms,
      kernelCountsAll: this.#coverage.ever,
      tracepointHits: this.#kernel.reduce((sum, { counts }) => addCounters(sum, counts.hits), newCounters()),
      qemuEvents: qemuEventsByVm(this.#qemuViews()),
      sources: this.#sources(),
      devicesOf: (vm) => this.#attribution.devicesOf?.(vm),
      busiestAddresses: (vm, { io, otherIo }) => this.#busiestOf(vm).select(io, otherIo),
    };
  }

  /** The threads whose owner is not settled, or not fully known. */
  #openThreads(): Map<number, OpenThread> {
    const open = new Map<number, OpenThread>();
    for (const { counts } of this.#kernel) {
      const add = (tid: number, ranVcpu: boolean, needsVcpu: boolean) => {
        if (!this.#owners.isOpen(tid, needsVcpu)) return;
        const known = open.get(tid) ?? { ranVcpu: false, needsVcpu: false, atMs: counts.lastEventMs(tid) };
        known.ranVcpu ||= ranVcpu;
        known.needsVcpu ||= needsVcpu;
        open.set(tid, known);
      };
      for (const { tid, vcpu } of counts.vcpus()) add(tid, true, vcpu < 0);
      for (const tid of counts.markers.runExits.keys()) add(tid, true, false);
      for (const tid of counts.markers.events.keys()) add(tid, false, false);
      for (const tid of counts.interrupts.keys()) add(tid, false, false);
    }
    return open;
  }

  #endThread(tid: number, atMs: number): void {
    if (this.#kernel.some(({ counts }) => counts.hasCounts(tid))) this.#moveCounts(tid, this.#owners.end(tid, atMs));
    else this.#owners.drop(tid);
  }

  #moveCounts(from: number, to: number): void {
    for (const { counts } of this.#kernel) {
      counts.moveCounts(from, to);
      counts.markers.moveCounts(from, to);
    }
  }

  #eventsOfUnknownThreads(): Map<number, number> {
    const events = new Map<number, number>();
    const isUnknown = (tid: number) => {
      const owner = tid > 0 ? this.#owners.ownerOf(tid) : undefined;
      return owner !== undefined && owner.vm === undefined;
    };
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) if (isUnknown(vcpu.tid)) addCount(events, vcpu.tid, sumCounters(vcpu.counts));
      for (const [tid, interrupts] of counts.interrupts) if (isUnknown(tid)) addCount(events, tid, interrupts);
      for (const [tid, own] of counts.markers.events) if (isUnknown(tid)) addCount(events, tid, sumCounters(own));
    }
    return events;
  }

  #busiestOf(vm: string): BusiestAddresses {
    const known = this.#busiest.get(vm) ?? new BusiestAddresses(this.#ioAddresses);
    this.#busiest.set(vm, known);
    return known;
  }

  /** True if a recording shows userspace exits. */
  #hasUserspaceExits(counts: KernelCounts): boolean {
    for (const vcpu of counts.vcpus()) if (vcpu.layout.total('userspaceExits', vcpu.counts) > 0) return true;
    return false;
  }

  #sum(): Map<string, VmTotals> {
    const vms = new Map<string, VmTotals>();
    for (const { counts } of this.#kernel) {
      // Only a whole recording can lack them. Live, their tracepoint is always on.
      const showsUserspaceExits = !this.#isSettled || this.#hasUserspaceExits(counts);
      for (const vcpu of counts.vcpus()) {
        const owner = this.#owners.ownerOf(vcpu.tid);
        if (owner === undefined) continue;
        const number = vcpu.vcpu >= 0 ? String(vcpu.vcpu) : owner.vcpu;
        totalsOf(vms, owner.vm?.label ?? '').add(number, vcpu, showsUserspaceExits);
      }
      for (const [tid, interrupts] of counts.interrupts) {
        const owner = this.#owners.ownerOf(tid);
        if (owner?.vcpu === '') totalsOf(vms, owner.vm?.label ?? '').interrupts += interrupts;
      }
    }
    addQemuViews(this.#qemuViews(), (label) => totalsOf(vms, label));
    return vms;
  }

  /** QEMU's markers in the kernel traces, and its trace files. */
  #qemuViews(): QemuView[] {
    const owner: QemuOwner = {
      labelOf: (tid) => labelOf(this.#owners.ownerOf(tid)),
      isVcpu: (tid) => (this.#owners.ownerOf(tid)?.vcpu ?? '') !== '',
    };
    const markers = this.#kernel.map(({ counts }) => ({ backend: 'ftrace' as const, counts: counts.markers, owner }));
    return [...markers, ...this.#qemu];
  }

  /** Each source once: several files may share one. */
  #sources(): { readonly name: string; readonly counts: SourceCounts }[] {
    const names = new Map<SourceCounts, string>();
    for (const { name, counts } of this.#kernel) names.set(counts.source, name);
    for (const [name, counts] of this.#otherSources) names.set(counts, name);
    for (const { backend, counts } of this.#qemu) names.set(counts.source, `qemu_${backend}`);
    return Array.from(names, ([counts, name]) => ({ name, counts }));
  }

  /** Has the vCPUs of each known VM count into one histogram. */
  #shareDurations(): void {
    for (const { tid, exitTimer } of this.vcpus()) {
      const vm = this.#owners.ownerOf(tid)?.vm;
      if (vm === undefined) continue;
      const shared = this.#durations.get(vm.label) ?? new ExitDurations(true);
      this.#durations.set(vm.label, shared);
      if (exitTimer.durations !== shared) exitTimer.useSharedHistogram(shared);
    }
  }

  /** Gives every vCPU the ioeventfds of its VM, which tell kicks from other writes. */
  #shareIoeventfds(): void {
    const views = this.#qemuViews();
    if (views.every(({ counts }) => counts.ioeventfds.size === 0)) return;
    const tables = ioeventfdsByVm(views);
    for (const vcpu of this.vcpus()) {
      const owner = this.#owners.ownerOf(vcpu.tid);
      if (owner !== undefined) vcpu.io.ioeventfds = tables.get(owner.vm?.label ?? '');
    }
  }
}

/** The label is '' for threads of no known VM; undefined while the counts of the thread are withheld. */
function labelOf(owner: ThreadOwner | undefined): string | undefined {
  return owner === undefined ? undefined : (owner.vm?.label ?? '');
}

function totalsOf(vms: Map<string, VmTotals>, label: string): VmTotals {
  let totals = vms.get(label);
  if (totals === undefined) {
    totals = new VmTotals();
    vms.set(label, totals);
  }
  return totals;
}
