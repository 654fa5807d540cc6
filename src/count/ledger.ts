import { Names } from '../decode/names.js';
import type { Vocabulary } from '../trace-sink.js';
import { type Cells, larger, newCells, plus, total } from './cells.js';
import { KernelCounts, type ThreadListener, type VcpuCounts } from './kernel-counts.js';
import { QemuCounts } from './qemu-counts.js';
import type { ExitCount, NamedCount, QemuEventCount, Snapshot, SourceState, VmInfo } from './snapshot.js';
import type { SourceCounts } from './source-counts.js';

/** Who a thread is, as labels. Asked at snapshot time only. */
export interface Attribution {
  /** A thread of the host's kernel. */
  ofThread(tid: number): ThreadOwner;
  /** The VMs to show, events or not. */
  vms(): readonly VmInfo[];
}

export interface ThreadOwner {
  /** '' where nobody knows the thread. */
  readonly vm: string;
  /** '' where it runs none or nothing tells which. */
  readonly vcpu: string;
  /** One object for each life of a VM; undefined where nobody knows it. */
  readonly life: object | undefined;
}

/** Which of QEMU's trace backends wrote a trace. */
export type QemuBackend = 'ftrace' | 'log' | 'simple';

/** The VM that an id of a QEMU trace belongs to: '' where it cannot be told. */
export type QemuOwner = (id: number) => string;

interface KernelSource {
  readonly name: string;
  readonly counts: KernelCounts;
}

interface QemuSource {
  readonly name: string;
  readonly backend: QemuBackend;
  readonly counts: QemuCounts;
  readonly owner: QemuOwner;
}

type QemuView = Pick<QemuSource, 'backend' | 'counts' | 'owner'>;

const QEMU_BACKENDS: readonly QemuBackend[] = ['ftrace', 'log', 'simple'];

/** A VM's vCPU while the sources are brought together. */
interface VcpuSum {
  kvm: Cells;
  /** kvm_userspace_exit: the kernel's view of KVM -> userspace. */
  kernel: Cells;
  /** kvm_run_exit: QEMU's view of it. */
  qemu: Cells;
}

type VmSums = Map<string, Map<string, VcpuSum>>;

/**
 * The counters of all sources, and the rule that brings them together: nothing is counted twice.
 *
 * `kvm_userspace_exit` (kernel) and `kvm_run_exit` (QEMU) show the same transition. For a VM that the kernel's trace shows, the
 * kernel counts; for any other, QEMU does. Files of one backend follow each other (rotation) and are added up; where several
 * backends tell of one VM, each figure is the largest told: a backend can miss events, but never invent one.
 */
export class Ledger {
  readonly vocabulary: Vocabulary = {
    reasons: new Names(512),
    tracepoints: new Names(2048),
    qemuEvents: new Names(8192),
  };
  readonly #attribution: Attribution;
  readonly #kernel: KernelSource[] = [];
  readonly #qemu: QemuSource[] = [];
  /** Threads by number, once somebody knew them: a thread that is gone keeps its VM. */
  readonly #owners = new Map<number, ThreadOwner>();
  /** Numbers for threads whose own now mean others. */
  #endedThreads = 0;

  constructor(attribution: Attribution) {
    this.#attribution = attribution;
  }

  /** Counters for a kernel trace. `name` is the label of the source's own metrics. */
  kernelSource(name: string, onThread?: ThreadListener): KernelCounts {
    const counts = new KernelCounts(onThread);
    this.#kernel.push({ name, counts });
    return counts;
  }

  /** Counters for a trace file of QEMU. */
  qemuSource(backend: QemuBackend, owner: QemuOwner): QemuCounts {
    const counts = new QemuCounts();
    this.#qemu.push({ name: `qemu_${backend}`, backend, counts, owner });
    return counts;
  }

  /** Every vCPU that a kernel trace has shown, by thread. */
  *vcpus(): IterableIterator<VcpuCounts> {
    for (const { counts } of this.#kernel) yield* counts.vcpus();
  }

  /** Asks for the owner of every thread not known yet; call it while the threads still live. Returns those that nobody knows. */
  attribute(): number[] {
    const unknown: number[] = [];
    for (const tid of this.#threadIds()) if (this.#ownerOf(tid).life === undefined && tid > 0) unknown.push(tid);
    return unknown;
  }

  /** The thread is gone and its number may come again: what it did stays its VM's. */
  endThread(tid: number): void {
    const owner = this.#owners.get(tid);
    this.#owners.delete(tid);
    // What nobody ever knew is kept as one.
    const id = owner === undefined ? 0 : --this.#endedThreads;
    if (owner !== undefined) this.#owners.set(id, owner);
    for (const { counts } of this.#kernel) {
      counts.rename(tid, id);
      counts.markers.rename(tid, id);
    }
  }

  /** Drops all that a VM's threads did. */
  forget(life: object): void {
    for (const [tid, owner] of this.#owners) {
      if (owner.life !== life) continue;
      this.#owners.delete(tid);
      for (const { counts } of this.#kernel) {
        counts.forget(tid);
        counts.markers.forget(tid);
      }
    }
  }

  snapshot(): Snapshot {
    const { sums, unattributedEvents } = this.#sum();
    return {
      exits: this.#exits(sums),
      tracepoints: this.#tracepoints(),
      qemuEvents: this.#qemuEvents(),
      vms: withVcpus(this.#attribution.vms(), sums),
      sources: this.#sources(),
      unattributedEvents,
    };
  }

  *#threadIds(): IterableIterator<number> {
    for (const { counts } of this.#kernel) {
      for (const { tid } of counts.vcpus()) yield tid;
      yield* counts.markers.events.keys();
    }
  }

  /** While the thread lives the answer may get better: its vCPU, or its VM at all. */
  #ownerOf(tid: number): ThreadOwner {
    const known = this.#owners.get(tid);
    if (known !== undefined && (known.vcpu !== '' || tid <= 0)) return known;
    const owner = this.#attribution.ofThread(tid);
    if (owner.life === undefined) return known ?? owner;
    this.#owners.set(tid, owner);
    return owner;
  }

  #sum(): { sums: VmSums; unattributedEvents: number } {
    const sums: VmSums = new Map();
    let unattributedEvents = 0;
    for (const { counts } of this.#kernel) {
      for (const vcpu of counts.vcpus()) {
        const thread = this.#ownerOf(vcpu.tid);
        if (thread.vm === '') unattributedEvents += total(vcpu.kvm) + total(vcpu.qemu);
        const sum = sumOf(sums, thread.vm, vcpu.vcpu >= 0 ? String(vcpu.vcpu) : thread.vcpu);
        sum.kvm = plus(sum.kvm, vcpu.kvm);
        sum.kernel = plus(sum.kernel, vcpu.qemu);
      }
    }
    const views = this.#qemuViews();
    for (const backend of QEMU_BACKENDS)
      addRunExits(
        sums,
        views.filter((view) => view.backend === backend),
      );
    return { sums, unattributedEvents };
  }

  #exits(sums: VmSums): ExitCount[] {
    const exits: ExitCount[] = [];
    for (const [vm, vcpus] of sums) {
      const kernelSees = [...vcpus.values()].some((sum) => total(sum.kernel) > 0);
      for (const [vcpu, sum] of vcpus) {
        this.#push(exits, vm, vcpu, 'kvm', sum.kvm);
        this.#push(exits, vm, vcpu, 'qemu', kernelSees ? sum.kernel : sum.qemu);
      }
    }
    return exits;
  }

  #push(exits: ExitCount[], vm: string, vcpu: string, layer: 'kvm' | 'qemu', cells: Cells): void {
    for (let id = 0; id < cells.length; id++) {
      const count = cells[id] as number;
      if (count > 0) exits.push({ vm, vcpu, layer, reason: this.vocabulary.reasons.text(id), count });
    }
  }

  #tracepoints(): NamedCount[] {
    let hits = newCells();
    for (const { counts } of this.#kernel) hits = plus(hits, counts.hits);
    return named(hits, this.vocabulary.tracepoints);
  }

  /** Markers in a kernel trace and files of QEMU alike. */
  #qemuViews(): QemuView[] {
    const owner: QemuOwner = (tid) => this.#ownerOf(tid).vm;
    return [
      ...this.#kernel.map(({ counts }) => ({ backend: 'ftrace' as const, counts: counts.markers, owner })),
      ...this.#qemu,
    ];
  }

  #qemuEvents(): QemuEventCount[] {
    const byVm = new Map<string, Cells>();
    for (const { counts, owner } of this.#qemuViews()) {
      for (const [id, cells] of counts.events) {
        const vm = owner(id);
        byVm.set(vm, plus(byVm.get(vm) ?? newCells(), cells));
      }
    }
    return [...byVm].flatMap(([vm, cells]) =>
      named(cells, this.vocabulary.qemuEvents).map(({ name, count }) => ({ vm, event: name, count })),
    );
  }

  #sources(): SourceState[] {
    return [...this.#kernel, ...this.#qemu].map(({ name, counts }) => sourceState(name, counts.source));
  }
}

function sumOf(sums: VmSums, vm: string, vcpu: string): VcpuSum {
  const vcpus = sums.get(vm) ?? new Map<string, VcpuSum>();
  sums.set(vm, vcpus);
  const sum = vcpus.get(vcpu) ?? { kvm: newCells(), kernel: newCells(), qemu: newCells() };
  vcpus.set(vcpu, sum);
  return sum;
}

/** Adds up what one backend says of each vCPU, then takes the larger of that and what others said. */
function addRunExits(sums: VmSums, views: readonly QemuView[]): void {
  const own = new Map<VcpuSum, Cells>();
  for (const { counts, owner } of views) {
    for (const [id, byCpu] of counts.runExits) {
      const vm = owner(id);
      for (const [cpuIndex, cells] of byCpu) {
        const sum = sumOf(sums, vm, cpuIndex < 0 ? '' : String(cpuIndex));
        own.set(sum, plus(own.get(sum) ?? newCells(), cells));
      }
    }
  }
  for (const [sum, cells] of own) sum.qemu = larger(sum.qemu, cells);
}

function named(cells: Cells, names: Names): NamedCount[] {
  const counts: NamedCount[] = [];
  for (let id = 0; id < cells.length; id++) {
    const count = cells[id] as number;
    if (count > 0) counts.push({ name: names.text(id), count });
  }
  return counts;
}

function withVcpus(vms: readonly VmInfo[], sums: VmSums): VmInfo[] {
  return vms.map((vm) => {
    const seen = [...(sums.get(vm.vm)?.keys() ?? [])].filter((vcpu) => vcpu !== '').length;
    return { ...vm, vcpus: Math.max(vm.vcpus, seen) };
  });
}

function sourceState(source: string, counts: SourceCounts): SourceState {
  const { lost, unknownGaps, overruns, malformed } = counts;
  const cpus = new Set([...lost.keys(), ...unknownGaps.keys(), ...overruns.keys()]);
  return {
    source,
    up: counts.up,
    events: counts.events,
    drains: counts.drains,
    drainSeconds: counts.drainSeconds,
    lost: [...cpus]
      .sort((a, b) => a - b)
      .map((cpu) => ({
        cpu: cpu < 0 ? '' : String(cpu),
        // Two accounts of the same loss: flags in the pages, and the buffer's statistics, which also know the size of every gap.
        events: Math.max(lost.get(cpu) ?? 0, overruns.get(cpu) ?? 0),
        unknownGaps: overruns.has(cpu) ? 0 : (unknownGaps.get(cpu) ?? 0),
      })),
    malformed: [...malformed].map(([kind, count]) => ({ kind, count })),
  };
}
