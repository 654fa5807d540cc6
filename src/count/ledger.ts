import { Names } from '../trace/names.js';
import type { Vocabulary } from '../trace/sink.js';
import { Busiest } from './busiest.js';
import { addCount, addCounters, newCounters, sumCounters } from './counters/counters.js';
import { SourceCounts } from './counters/source-counts.js';
import { IdleThreads } from './idle-threads.js';
import { KernelCounts, type ThreadListener } from './kernel-counts.js';
import { QemuCounts } from './qemu/qemu-counts.js';
import {
  addQemuViews,
  ioeventfdsByVm,
  type QemuBackend,
  type QemuOwner,
  type QemuView,
  qemuEventsByVm,
} from './qemu-views.js';
import { type Attribution, ThreadOwners } from './thread-owners.js';
import type { Totals } from './totals.js';
import { ExitDurations } from './vcpu/exit-durations.js';
import { KnownReasons } from './vcpu/known-reasons.js';
import type { Collectors, VcpuCounts } from './vcpu/vcpu-counts.js';
import { VmSum } from './vm-sums.js';

export interface LedgerOptions {
  readonly collectors?: Collectors;
  /** Addresses of each VM that have series of their own. */
  readonly ioAddresses?: number;
}

export const ALL_COLLECTORS: Collectors = { duration: true, causes: true, io: true, eventfd: true };

interface Named<Counts> {
  readonly name: string;
  readonly counts: Counts;
}

/**
 * The counters of all sources, and the rule that brings them together: nothing is counted twice.
 *
 * `kvm_userspace_exit` (kernel) and `kvm_run_exit` (QEMU) show the same transition. In recordings the kernel counts for a VM that its
 * trace shows; for any other, QEMU does. Live, the kernel counts for all VMs while its trace runs ({@link kernelCountsAll}), and QEMU
 * while it does not: each exit is counted when it is seen, by one of them, so that a counter never falls when they take turns.
 * Where several backends of QEMU tell of one VM: qemu-views.ts.
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
  readonly #busiest = new Map<string, Busiest>();
  /** By life of a VM: how long the exits of all its vCPUs took. */
  readonly #durations = new WeakMap<object, ExitDurations>();

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
  qemuSource(
    backend: QemuBackend,
    owner: QemuOwner,
    more: Pick<QemuView, 'isVcpu' | 'lifeOf'> & { readonly source?: SourceCounts } = {},
  ): QemuCounts {
    const { source = new SourceCounts(), ...view } = more;
    const counts = new QemuCounts({ coverage: this.#coverage, source });
    this.#qemu.push({ backend, counts, owner, ...view });
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
   * Asks for the owner of every thread not known yet; call it while the threads still live. Returns those that run a vCPU and that nobody
   * knows. (Anybody can write a marker, and many threads send interrupts: that makes nobody a VM.)
   */
  attribute(): number[] {
    for (const tid of this.#threadIds()) this.#owners.of(tid);
    const unknown: number[] = [];
    for (const tid of this.#vcpuThreadIds()) if (tid > 0 && this.#owners.of(tid).life === undefined) unknown.push(tid);
    // They remember whom they found.
    for (const { counts, owner } of this.#qemu) for (const id of counts.events.keys()) owner(id);
    this.#tellIoeventfds();
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

  /** Drops all that a VM's threads did. */
  forget(life: object): void {
    for (const { tid, vm } of this.#owners.forget(life)) {
      this.#busiest.delete(vm);
      for (const { counts } of this.#kernel) {
        counts.forget(tid);
        counts.markers.forget(tid);
      }
    }
    for (const { counts, lifeOf } of this.#qemu)
      for (const id of [...counts.events.keys()]) if (lifeOf?.(id) === life) counts.forget(id);
  }

  totals(): Totals {
    const vms = this.#sum();
    for (const vm of this.#busiest.keys()) if (!vms.has(vm)) this.#busiest.delete(vm);
    return {
      vocabulary: this.vocabulary,
      layout: this.#reasons.layout,
      collectors: this.collectors,
      vms,
      kernelCountsAll: this.#coverage.ever,
      hits: this.#kernel.reduce((sum, { counts }) => addCounters(sum, counts.hits), newCounters()),
      qemuEvents: qemuEventsByVm(this.#qemuViews()),
      sources: this.#sources(),
      devices: (vm) => this.#attribution.devicesOf?.(vm),
      busiest: (vm, sum) => this.#busiestOf(vm).select(sum.io, sum.ioOthers),
    };
  }

  *#vcpuThreadIds(): IterableIterator<number> {
    for (const { counts } of this.#kernel) {
      for (const { tid } of counts.vcpus()) yield tid;
      yield* counts.markers.runExits.keys();
    }
  }

  *#threadIds(): IterableIterator<number> {
    yield* this.#vcpuThreadIds();
    for (const { counts } of this.#kernel) {
      yield* counts.markers.events.keys();
      yield* counts.interrupts.keys();
    }
  }

  #doneByUnknownThreads(): Map<number, number> {
    const done = new Map<number, number>();
    const isUnknown = (tid: number) => tid > 0 && this.#owners.known(tid) === undefined;
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) if (isUnknown(vcpu.tid)) addCount(done, vcpu.tid, sumCounters(vcpu.counts));
      for (const [tid, interrupts] of counts.interrupts) if (isUnknown(tid)) addCount(done, tid, interrupts);
      for (const [tid, events] of counts.markers.events) if (isUnknown(tid)) addCount(done, tid, sumCounters(events));
    }
    return done;
  }

  #busiestOf(vm: string): Busiest {
    const known = this.#busiest.get(vm) ?? new Busiest(this.#ioAddresses);
    this.#busiest.set(vm, known);
    return known;
  }

  #sum(): Map<string, VmSum> {
    const vms = new Map<string, VmSum>();
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) {
        const owner = this.#owners.of(vcpu.tid);
        vmOf(vms, owner.vm).add(vcpu.vcpu >= 0 ? String(vcpu.vcpu) : owner.vcpu, vcpu);
      }
      for (const [tid, interrupts] of counts.interrupts) {
        const owner = this.#owners.of(tid);
        if (owner.vcpu === '') vmOf(vms, owner.vm).interrupts += interrupts;
      }
    }
    addQemuViews(this.#qemuViews(), (vm) => vmOf(vms, vm));
    return vms;
  }

  /** Markers in a kernel trace and files of QEMU alike. */
  #qemuViews(): QemuView[] {
    const owner: QemuOwner = (tid) => this.#owners.of(tid).vm;
    const isVcpu = (tid: number) => this.#owners.of(tid).vcpu !== '';
    const markers = this.#kernel.map(({ counts }) => ({
      backend: 'ftrace' as const,
      counts: counts.markers,
      owner,
      isVcpu,
    }));
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
      const life = this.#owners.known(tid)?.life;
      if (life === undefined) continue;
      const shared = this.#durations.get(life) ?? new ExitDurations(true);
      this.#durations.set(life, shared);
      if (exitTimer.durations !== shared) exitTimer.useSharedHistogram(shared);
    }
  }

  /** Lets every vCPU know which writes are kicks. */
  #tellIoeventfds(): void {
    const views = this.#qemuViews();
    if (views.every(({ counts }) => counts.ioeventfds.size === 0)) return;
    const tables = ioeventfdsByVm(views);
    for (const vcpu of this.vcpus()) vcpu.io.ioeventfds = tables.get(this.#owners.of(vcpu.tid).vm);
  }
}

function vmOf(vms: Map<string, VmSum>, vm: string): VmSum {
  let sum = vms.get(vm);
  if (sum === undefined) {
    sum = new VmSum();
    vms.set(vm, sum);
  }
  return sum;
}
