import { collectorsWhere } from '../trace/collectors.js';
import { Names } from '../trace/names.js';
import type { Vocabulary } from '../trace/sink.js';
import { BusiestByVm, type KeyCounts } from './busiest-keys.js';
import { SourceCounts } from './counters/source-counts.js';
import type { KernelCounts, ThreadListener } from './kernel-counts.js';
import { KernelExits } from './kernel-exits.js';
import { KernelThreads, type ThreadEvents } from './kernel-threads.js';
import type { LedgerTotals } from './ledger-totals.js';
import { QemuSources } from './qemu-sources.js';
import { addQemuViews, type QemuBackend, type QemuView, qemuEventsByVm } from './qemu-views.js';
import { SampledTotals } from './sampling/sampled-totals.js';
import { SamplingLedger } from './sampling-ledger.js';
import { SharedByVcpus } from './shared-by-vcpus.js';
import { StatisticCounts } from './statistics/statistic-counts.js';
import { finish, type Steps } from './stepwise.js';
import type { Attribution, VmIdentity } from './thread-owners.js';
import type { Usage } from './time/usage.js';
import { totalsIn, type VmTotals } from './totals/vm-totals.js';
import { KnownReasons } from './vcpu/known-reasons.js';
import type { Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';

export interface LedgerOptions {
  readonly collectors?: Collectors;
  /** Number of addresses per VM that have series of their own. */
  readonly ioAddresses?: number;
  /** Number of MSRs, CPUID leaves, hypercalls ... per VM that have series of their own. */
  readonly indices?: number;
  /** True if events other than exits to userspace are on in windows only: figures are estimates. Default: false. */
  readonly isSampled?: boolean;
  /** Names that have room in the vocabulary, whatever the input holds. */
  readonly knownNames?: { readonly [Table in keyof Vocabulary]?: ReadonlySet<string> };
}

/** Together with all known reasons fewer than the slots of a counter layout. */
const MAX_UNKNOWN_REASONS = 256;

export const ALL_COLLECTORS: Collectors = collectorsWhere(() => true);

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
  readonly qemu: QemuSources;
  /** KVM's own statistics. */
  readonly statistics = new StatisticCounts();
  /** Estimates figures from windows, if some events are on in windows only. */
  readonly sampling: SamplingLedger;
  /** What the audit compares with them. */
  readonly kernelExits: KernelExits;
  readonly #reasons: KnownReasons;
  readonly #attribution: Attribution;
  readonly #threads: KernelThreads;
  /** Counts about sources that are shown even without a file (backends of QEMU), or that count no events of VMs. */
  readonly #otherSources = new Map<string, SourceCounts>();
  /** Whether the kernel counts the userspace exits of all VMs, now and at any time so far. */
  readonly #coverage = { now: false, ever: false };
  readonly #busiestAddresses: BusiestByVm;
  /** MSRs, CPUID leaves, hypercalls ... */
  readonly #busiestIndices: BusiestByVm;
  readonly #shared: SharedByVcpus;

  constructor(
    attribution: Attribution,
    {
      collectors = ALL_COLLECTORS,
      ioAddresses = 20,
      indices = 50,
      isSampled = false,
      knownNames = {},
    }: LedgerOptions = {},
  ) {
    this.vocabulary = {
      reasons: new Names(MAX_UNKNOWN_REASONS, knownNames.reasons),
      tracepoints: new Names(2048, knownNames.tracepoints),
      qemuEvents: new Names(8192, knownNames.qemuEvents),
    };
    this.qemu = new QemuSources(this.vocabulary, this.#coverage);
    this.#reasons = new KnownReasons(this.vocabulary.reasons);
    this.#attribution = attribution;
    this.#threads = new KernelThreads(attribution, !isSampled);
    const sampledReasons = { layout: this.#reasons.layout, names: this.vocabulary.reasons };
    this.sampling = new SamplingLedger({
      sampled: isSampled ? new SampledTotals(sampledReasons, this.statistics) : undefined,
      threads: this.#threads,
      resolveOwners: (nowMs) => this.resolveOwners(nowMs),
    });
    this.#shared = new SharedByVcpus(
      () => this.vcpus(),
      (tid) => this.#threads.ownerOf(tid),
    );
    this.kernelExits = new KernelExits(this.#threads, this.#reasons.layout, this.vocabulary);
    this.collectors = collectors;
    this.#busiestAddresses = new BusiestByVm(ioAddresses);
    this.#busiestIndices = new BusiestByVm(indices);
  }

  /**
   * Creates the counters for a kernel trace.
   * @param name label of the source's own metrics
   * @param threadEvents if undefined, as in a report, ends of threads are ignored, and all threads with one id are one
   * thread
   */
  kernelSource(name: string, onThread?: ThreadListener, threadEvents?: ThreadEvents): KernelCounts {
    const { collectors } = this;
    const options = { collectors, reasons: this.#reasons, onThread, coverage: this.#coverage };
    return this.#threads.addTrace(name, options, threadEvents);
  }

  /** Set to true while a live kernel trace counts the userspace exits of every VM. */
  set kernelCountsAll(now: boolean) {
    this.#coverage.now = now;
    this.#coverage.ever ||= now;
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

  /** Call it at the end of a recording: counts the accesses whose outcome is still open. */
  settle(): void {
    this.#threads.settle();
  }

  /** The counts of every vCPU in the kernel traces; those of a vCPU that ran on several threads are separate. */
  vcpus(): IterableIterator<VcpuCounts> {
    return this.#threads.traces.vcpus();
  }

  /** Ids of the threads that ran a vCPU, some of them several times; also the synthetic ids of ended threads. */
  vcpuThreadIds(): IterableIterator<number> {
    return this.#threads.traces.vcpuThreadIds();
  }

  /**
   * Finds the owner of every thread that has events, while the threads still live. Returns the threads that ran a vCPU
   * and belong to no known VM. Other unknown threads are not worth a look-up: any process can write a marker or send an
   * interrupt.
   * @param nowMs on the agent's clock; Infinity: no counts are withheld from now on
   */
  resolveOwners(nowMs: number): number[] {
    const unknown = this.#threads.resolveOwners(nowMs);
    this.qemu.resolveOwners();
    this.#shared.shareIoeventfds(this.#qemuViews());
    if (this.collectors.duration) this.#shared.shareDurations();
    return unknown;
  }

  /** True while the counts of a thread are withheld: call {@link resolveOwners} soon. */
  get isWithholding(): boolean {
    return this.#threads.isWithholding;
  }

  /**
   * Adds what the kernel says of a vCPU thread's time since the last call.
   * @param usage undefined if the thread was read for the first time
   * @param tracedToMs time until which the trace's events are counted, on the agent's clock; undefined if no trace is
   *   read
   */
  addUsage(tid: number, usage: Usage | undefined, tracedToMs: number | undefined): void {
    this.#threads.addUsage(tid, usage, this.collectors.duration ? tracedToMs : undefined);
  }

  /** True if a trace shows where the vCPU of a thread spends its time. */
  provesTime(tid: number): boolean {
    return this.collectors.duration && this.#threads.provesTime(tid);
  }

  /** Time of the latest event of a thread that has not ended, on the agent's clock; NaN if there is none. */
  lastEventMs(tid: number): number {
    return this.#threads.traces.lastEventMs(tid);
  }

  /** A thread has ended, and the kernel may reuse its id: its counts stay with its VM. */
  endThread(tid: number): void {
    this.#threads.end(tid);
  }

  /** Merges the counts of threads of no known VM that have been idle for a minute. Call it after `resolveOwners`. */
  mergeIdleThreads(nowMs: number): void {
    this.#threads.mergeIdle(nowMs);
  }

  /** Drops everything that was counted for VMs with this label. */
  forget({ label }: VmIdentity): void {
    for (const busiest of [this.#busiestAddresses, this.#busiestIndices]) busiest.forget(label);
    this.#shared.forget(label);
    this.#threads.forget(label);
    this.statistics.forget(label);
    this.sampling.forget(label);
    this.qemu.forget(label);
  }

  /**
   * @param nowMs on the agent's clock; Infinity: nothing is withheld
   * @param isExported false if no monitoring system gets the figures
   */
  totals(nowMs?: number, isExported?: boolean): LedgerTotals {
    return finish(this.totalsSteps(nowMs, isExported));
  }

  /** The same in steps. Between two of them no VM or thread may come or go. */
  *totalsSteps(nowMs = Number.POSITIVE_INFINITY, isExported = true): Steps<LedgerTotals> {
    this.resolveOwners(nowMs);
    yield;
    const vms = yield* this.#sum(nowMs);
    yield;
    for (const busiest of [this.#busiestAddresses, this.#busiestIndices]) busiest.keepOnly(vms);
    const indexCounts = new Map<string, KeyCounts>();
    return {
      vocabulary: this.vocabulary,
      layout: this.#reasons.layout,
      collectors: this.collectors,
      vms,
      kernelCountsAll: this.#coverage.ever,
      tracepointHits: this.#threads.traces.tracepointHits(),
      qemuEvents: qemuEventsByVm(this.#qemuViews()),
      statistics: this.statistics,
      sources: this.#sources(),
      sampling: this.sampling.state,
      devicesOf: (vm) => this.#attribution.devicesOf?.(vm),
      busiestKeys: (vm, { io, otherIo }) => this.#busiestAddresses.of(vm).select(io, otherIo, isExported),
      busiestIndices: (vm, { indices, otherIndices }) => {
        const chosen = indexCounts.get(vm) ?? this.#busiestIndices.of(vm).select(indices, otherIndices, isExported);
        indexCounts.set(vm, chosen);
        return chosen;
      },
    };
  }

  *#sum(nowMs: number): Steps<Map<string, VmTotals>> {
    const vms = new Map<string, VmTotals>();
    const totalsOf = totalsIn(vms);
    yield* this.#threads.addTo(totalsOf);
    this.sampling.show(vms, nowMs);
    addQemuViews(this.#qemuViews(), totalsOf);
    return vms;
  }

  /** QEMU's markers in the kernel traces, and its trace files. */
  #qemuViews(): QemuView[] {
    return [...this.#threads.markerViews(this.vocabulary.qemuEvents), ...this.qemu.views];
  }

  /** Each source once: several files may share one. */
  #sources(): { readonly name: string; readonly counts: SourceCounts }[] {
    const names = new Map<SourceCounts, string>();
    for (const { name, counts } of this.#threads.traces.all) names.set(counts.source, name);
    for (const [name, counts] of this.#otherSources) names.set(counts, name);
    for (const { backend, counts } of this.qemu.views) names.set(counts.source, `qemu_${backend}`);
    return Array.from(names, ([counts, name]) => ({ name, counts }));
  }
}
