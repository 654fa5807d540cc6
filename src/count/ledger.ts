import { collectorsWhere } from '../trace/collectors.js';
import { Names } from '../trace/names.js';
import type { Vocabulary } from '../trace/sink.js';
import { BusiestAddresses } from './busiest-addresses.js';
import { addCount, addCounters, newCounters, sumCounters } from './counters/counters.js';
import { SourceCounts } from './counters/source-counts.js';
import { IdleThreads } from './idle-threads.js';
import { KernelCounts, type ThreadListener } from './kernel-counts.js';
import type { LedgerTotals } from './ledger-totals.js';
import { QemuCounts } from './qemu/qemu-counts.js';
import {
  addQemuViews,
  ioeventfdsByVm,
  type QemuBackend,
  type QemuOwner,
  type QemuView,
  qemuEventsByVm,
} from './qemu-views.js';
import { type Attribution, type ThreadOwner, ThreadOwners, type VmIdentity } from './thread-owners.js';
import { ExitDurations } from './vcpu/exit-durations.js';
import { KnownReasons } from './vcpu/known-reasons.js';
import type { Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';
import { VmTotals } from './vm-totals.js';

export interface LedgerOptions {
  readonly collectors?: Collectors;
  /** Addresses of each VM that have series of their own. */
  readonly ioAddresses?: number;
}

export const ALL_COLLECTORS: Collectors = collectorsWhere(() => true);

interface Named<Counts> {
  readonly name: string;
  readonly counts: Counts;
}

/**
 * The counters of all sources, and the rule that brings them together: nothing is counted twice.
 *
 * `kvm_userspace_exit` (kernel) and `kvm_run_exit` (QEMU) show the same transition. In recordings the kernel counts for
 * a VM that its trace shows; for any other, QEMU does. Live, the kernel counts for all VMs while its trace runs ({@link
 * kernelCountsAll}), and QEMU while it does not: each exit is counted when it is seen, by one of them, so that a
 * counter never falls when they take turns. Where several backends of QEMU tell of one VM: qemu-views.ts.
 */
export class Ledger {
  readonly vocabulary: Vocabulary = {
    reasons: new Names(512),
    tracepoints: new Names(2048),
    qemuEvents: new Names(8192),
  };
  readonly collectors: Collectors;
  readonly #reasons = new KnownReasons(this.vocabulary.reasons);
  readonly #attribution: Attribution;
  readonly #ioAddresses: number;
  readonly #kernel: Named<KernelCounts>[] = [];
  #qemu: QemuView[] = [];
  /** Of backends whose files come and go, and of what counts nothing of VMs. */
  readonly #backends = new Map<string, SourceCounts>();
  readonly #coverage = { now: false, ever: false };
  readonly #owners: ThreadOwners;
  readonly #idleThreads = new IdleThreads();
  /** By VM: which of its addresses are shown. */
  readonly #busiest = new Map<string, BusiestAddresses>();
  /** One histogram per VM: its vCPUs share it. */
  readonly #durations = new WeakMap<VmIdentity, ExitDurations>();

  constructor(attribution: Attribution, { collectors = ALL_COLLECTORS, ioAddresses = 20 }: LedgerOptions = {}) {
    this.#attribution = attribution;
    this.#owners = new ThreadOwners(attribution);
    this.collectors = collectors;
    this.#ioAddresses = ioAddresses;
  }

  /** Counters for a kernel trace. `name` is the label of the source's own metrics. */
  kernelSource(name: string, onThread?: ThreadListener): KernelCounts {
    const coverage = this.#coverage;
    const counts = new KernelCounts({ collectors: this.collectors, reasons: this.#reasons, onThread, coverage });
    this.#kernel.push({ name, counts });
    return counts;
  }

  /** A live kernel trace counts the exits to userspace of every VM, from now on or no longer. */
  set kernelCountsAll(now: boolean) {
    this.#coverage.now = now;
    this.#coverage.ever ||= now;
  }

  /** Counters for a trace file of QEMU. */
  qemuSource(backend: QemuBackend, owner: QemuOwner, source = new SourceCounts()): QemuCounts {
    const counts = new QemuCounts({ coverage: this.#coverage, source });
    this.#qemu.push({ backend, counts, owner });
    return counts;
  }

  /** What is counted of all files of one backend: there also while there is no file. */
  qemuBackend(backend: QemuBackend): SourceCounts {
    const name = `qemu_${backend}`;
    const counts = this.#backends.get(name) ?? new SourceCounts();
    this.#backends.set(name, counts);
    return counts;
  }

  /** A source of something else than events of VMs. */
  addSource(name: string, counts: SourceCounts): void {
    this.#backends.set(name, counts);
  }

  /** The file is gone, and so is what it counted. */
  dropQemuSource(counts: QemuCounts): void {
    this.#qemu = this.#qemu.filter((view) => view.counts !== counts);
  }

  /** The traces are over: what was announced and not heard of again stayed in the kernel. */
  settle(): void {
    for (const { io } of this.vcpus()) io.settleOpenAccess();
  }

  /** Every vCPU that a kernel trace has shown, by thread. */
  *vcpus(): IterableIterator<VcpuCounts> {
    for (const { counts } of this.#kernel) yield* counts.vcpus();
  }

  /**
   * Threads that ran a vCPU, by a kernel trace or by QEMU's markers in it; possibly several times. Synthetic ids are
   * among them.
   */
  *vcpuThreadIds(): IterableIterator<number> {
    for (const { counts } of this.#kernel) {
      for (const { tid } of counts.vcpus()) yield tid;
      yield* counts.markers.runExits.keys();
    }
  }

  /**
   * Records the owner of every thread that has events, while the threads still live. Returns the threads that ran a
   * vCPU and belong to no known VM. Other unknown threads are not worth a look-up: any process can write a marker or
   * send an interrupt.
   */
  resolveOwners(): number[] {
    const unknown = this.#owners.resolve(this.vcpuThreadIds());
    this.#owners.resolve(this.#otherThreadIds());
    // Each file remembers the VMs that it finds.
    for (const { counts, owner } of this.#qemu) for (const id of counts.events.keys()) owner.labelOf(id);
    this.#shareIoeventfds();
    if (this.collectors.duration) this.#shareDurations();
    return unknown;
  }

  /** The thread is gone and its number may come again: what it did stays its VM's. */
  endThread(tid: number): void {
    const id = this.#owners.end(tid);
    for (const { counts } of this.#kernel) {
      counts.rename(tid, id);
      counts.markers.rename(tid, id);
    }
  }

  /** Threads that nobody knows and that do no more are kept as one. */
  mergeIdleThreads(nowMs: number): void {
    for (const tid of this.#idleThreads.quiet(this.#doneByUnknownThreads(), nowMs)) this.endThread(tid);
  }

  /** Drops everything that the VM counted. */
  forget(vm: VmIdentity): void {
    for (const tid of this.#owners.forget(vm)) {
      this.#busiest.delete(vm.label);
      for (const { counts } of this.#kernel) {
        counts.forget(tid);
        counts.markers.forget(tid);
      }
    }
    for (const { counts, owner } of this.#qemu)
      for (const id of [...counts.events.keys()]) if (owner.vmOf?.(id) === vm) counts.forget(id);
  }

  totals(): LedgerTotals {
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

  *#otherThreadIds(): IterableIterator<number> {
    for (const { counts } of this.#kernel) {
      yield* counts.markers.events.keys();
      yield* counts.interrupts.keys();
    }
  }

  #doneByUnknownThreads(): Map<number, number> {
    const done = new Map<number, number>();
    const isUnknown = (tid: number) => tid > 0 && this.#owners.vmOf(tid) === undefined;
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) if (isUnknown(vcpu.tid)) addCount(done, vcpu.tid, sumCounters(vcpu.counts));
      for (const [tid, interrupts] of counts.interrupts) if (isUnknown(tid)) addCount(done, tid, interrupts);
      for (const [tid, events] of counts.markers.events) if (isUnknown(tid)) addCount(done, tid, sumCounters(events));
    }
    return done;
  }

  #busiestOf(vm: string): BusiestAddresses {
    const known = this.#busiest.get(vm) ?? new BusiestAddresses(this.#ioAddresses);
    this.#busiest.set(vm, known);
    return known;
  }

  #sum(): Map<string, VmTotals> {
    const vms = new Map<string, VmTotals>();
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) {
        const owner = this.#owners.ownerOf(vcpu.tid);
        sumOf(vms, labelOf(owner)).add(vcpu.vcpu >= 0 ? String(vcpu.vcpu) : owner.vcpu, vcpu);
      }
      for (const [tid, interrupts] of counts.interrupts) {
        const owner = this.#owners.ownerOf(tid);
        if (owner.vcpu === '') sumOf(vms, labelOf(owner)).interrupts += interrupts;
      }
    }
    addQemuViews(this.#qemuViews(), (label) => sumOf(vms, label));
    return vms;
  }

  /** Markers in a kernel trace and files of QEMU alike. */
  #qemuViews(): QemuView[] {
    const owner: QemuOwner = {
      labelOf: (tid) => labelOf(this.#owners.ownerOf(tid)),
      isVcpu: (tid) => this.#owners.ownerOf(tid).vcpu !== '',
    };
    const markers = this.#kernel.map(({ counts }) => ({ backend: 'ftrace' as const, counts: counts.markers, owner }));
    return [...markers, ...this.#qemu];
  }

  /** Each once, though several files may share one. */
  #sources(): { readonly name: string; readonly counts: SourceCounts }[] {
    const names = new Map<SourceCounts, string>();
    for (const { name, counts } of this.#kernel) names.set(counts.source, name);
    for (const [name, counts] of this.#backends) names.set(counts, name);
    for (const { backend, counts } of this.#qemu) names.set(counts.source, `qemu_${backend}`);
    return Array.from(names, ([counts, name]) => ({ name, counts }));
  }

  /** All vCPUs of a VM count into one table, once it is known whose they are. */
  #shareDurations(): void {
    for (const { tid, exitTimer } of this.vcpus()) {
      const vm = this.#owners.vmOf(tid);
      if (vm === undefined) continue;
      const shared = this.#durations.get(vm) ?? new ExitDurations(true);
      this.#durations.set(vm, shared);
      if (exitTimer.durations !== shared) exitTimer.useSharedHistogram(shared);
    }
  }

  /** Lets every vCPU know which writes are kicks. */
  #shareIoeventfds(): void {
    const views = this.#qemuViews();
    if (views.every(({ counts }) => counts.ioeventfds.size === 0)) return;
    const tables = ioeventfdsByVm(views);
    for (const vcpu of this.vcpus()) vcpu.io.ioeventfds = tables.get(labelOf(this.#owners.ownerOf(vcpu.tid)));
  }
}

/** Threads of no known VM are counted under the label ''. */
function labelOf({ vm }: ThreadOwner): string {
  return vm?.label ?? '';
}

function sumOf(vms: Map<string, VmTotals>, label: string): VmTotals {
  let sum = vms.get(label);
  if (sum === undefined) {
    sum = new VmTotals();
    vms.set(label, sum);
  }
  return sum;
}
