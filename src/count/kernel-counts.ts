import type { MalformedKind, MmioAccess, TraceSink } from '../trace-sink.js';
import { type Cells, newCells, plus, withRoom } from './cells.js';
import { QemuCounts } from './qemu-counts.js';
import { SourceCounts } from './source-counts.js';

/** The exits of one vCPU as one thread ran it. */
export class VcpuCounts {
  /** Negative once the thread is gone and its number means another. */
  tid: number;
  /** -1 until an event says it. */
  vcpu: number;
  /** guest -> KVM, by reason. */
  kvm: Cells = newCells();
  /** KVM -> userspace, by reason. */
  qemu: Cells = newCells();
  /** Ring of the vCPUs that this thread runs: nearly always just this one, but a VMM may run several on a thread. */
  next: VcpuCounts = this;

  constructor(tid: number, vcpu: number) {
    this.tid = tid;
    this.vcpu = vcpu;
  }
}

/** Told of each thread that a recording names; attribution may want to know. */
export type ThreadListener = (tid: number, tgid: number, comm: string) => void;

/** What one kernel trace said, by thread: whose thread it is, is asked when somebody looks. */
export class KernelCounts implements TraceSink {
  readonly source = new SourceCounts();
  readonly markers = new QemuCounts();
  /** Tracepoint hits by name. */
  hits: Cells = newCells();
  /** Time of the latest event on the trace's clock. */
  lastTimeNs = 0;
  readonly #threads = new Map<number, VcpuCounts>();
  readonly #onThread: ThreadListener;
  #latest: VcpuCounts | undefined;

  constructor(onThread: ThreadListener = () => {}) {
    this.#onThread = onThread;
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

  /** What thread `tid` did is from now on under the number `other`, together with what is there already. */
  rename(tid: number, other: number): void {
    const first = this.#threads.get(tid);
    if (first === undefined) return;
    this.forget(tid);
    let counts = first;
    do {
      const next = counts.next;
      const target = this.#ofVcpu(other, counts.vcpu);
      target.kvm = plus(target.kvm, counts.kvm);
      target.qemu = plus(target.qemu, counts.qemu);
      counts = next;
    } while (counts !== first);
  }

  forget(tid: number): void {
    this.#threads.delete(tid);
    if (this.#latest?.tid === tid) this.#latest = undefined;
  }

  thread(tid: number, tgid: number, comm: string): void {
    this.#onThread(tid, tgid, comm);
  }

  tracepoint(timeNs: number, _cpu: number, _tid: number, name: number): void {
    this.lastTimeNs = timeNs;
    this.source.events++;
    if (name >= this.hits.length) this.hits = withRoom(this.hits, name);
    this.hits[name] = (this.hits[name] as number) + 1;
  }

  vmExit(
    _timeNs: number,
    _cpu: number,
    tid: number,
    vcpu: number,
    reason: number,
    _info1: number,
    _info2: number,
  ): void {
    const counts = this.#ofVcpu(tid, vcpu);
    if (reason >= counts.kvm.length) counts.kvm = withRoom(counts.kvm, reason);
    counts.kvm[reason] = (counts.kvm[reason] as number) + 1;
  }

  vmEntry(_timeNs: number, _cpu: number, tid: number, vcpu: number): void {
    if (vcpu >= 0) this.#ofVcpu(tid, vcpu);
  }

  userspaceExit(_timeNs: number, _cpu: number, tid: number, reason: number): void {
    const counts = this.#ofThread(tid);
    if (reason >= counts.qemu.length) counts.qemu = withRoom(counts.qemu, reason);
    counts.qemu[reason] = (counts.qemu[reason] as number) + 1;
  }

  portIo(_timeNs: number, _cpu: number, _tid: number, _write: boolean, _port: number, _size: number): void {}
  mmio(_timeNs: number, _cpu: number, _tid: number, _access: MmioAccess, _gpa: number): void {}
  fastMmio(_timeNs: number, _cpu: number, _tid: number, _gpa: number): void {}

  qemuRunExit(timeNs: number, id: number, cpuIndex: number, reason: number): void {
    this.markers.qemuRunExit(timeNs, id, cpuIndex, reason);
  }

  qemuEvent(timeNs: number, id: number, event: number): void {
    this.markers.qemuEvent(timeNs, id, event);
  }

  lost(cpu: number, count: number): void {
    this.source.addLost(cpu, count);
  }

  malformed(kind: MalformedKind): void {
    this.source.addMalformed(kind);
  }

  /** The vCPU that a thread ran last: what an event without a vCPU is about. */
  #ofThread(tid: number): VcpuCounts {
    const latest = this.#latest;
    if (latest !== undefined && latest.tid === tid) return latest;
    let counts = this.#threads.get(tid);
    if (counts === undefined) {
      counts = new VcpuCounts(tid, -1);
      this.#threads.set(tid, counts);
    }
    this.#latest = counts;
    return counts;
  }

  #ofVcpu(tid: number, vcpu: number): VcpuCounts {
    const counts = this.#ofThread(tid);
    if (counts.vcpu === vcpu || vcpu < 0) return counts;
    if (counts.vcpu < 0) {
      counts.vcpu = vcpu;
      return counts;
    }
    return this.#switchVcpu(tid, vcpu);
  }

  #switchVcpu(tid: number, vcpu: number): VcpuCounts {
    const current = this.#ofThread(tid);
    let counts = current.next;
    while (counts.vcpu !== vcpu && counts !== current) counts = counts.next;
    if (counts.vcpu !== vcpu) {
      counts = new VcpuCounts(tid, vcpu);
      counts.next = current.next;
      current.next = counts;
    }
    this.#threads.set(tid, counts);
    this.#latest = counts;
    return counts;
  }
}
