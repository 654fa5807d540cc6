/**
 * All sources brought together by VM: what the snapshot is made from.
 *
 * Threads come first with their owners; what two threads of one vCPU counted is added up, and every figure ends under the labels
 * of its VM.
 */
import { addCounters, type Counters, newCounters } from './counters/counters.js';
import { ExitDurations } from './vcpu/exit-durations.js';
import type { VcpuCounts } from './vcpu/vcpu-counts.js';

/** A VM's vCPU while the sources are brought together. */
export interface VcpuSum {
  /** The kernel's view, by slot: for reading only, they may be those of the vCPU itself. */
  kernel: Counters;
  /** kvm_run_exit, QEMU's view of KVM -> userspace: by reason. */
  qemu: Counters;
  kvmNs: number;
  qemuNs: number;
  idleNs: number;
}

const NONE: Counters = new Float64Array(0);

export class VmSum {
  readonly vcpus = new Map<string, VcpuSum>();
  /** Each once, though several vCPUs may share one. */
  readonly #durations = new Set<ExitDurations>();
  unpairedKvm = 0;
  unpairedQemu = 0;
  /** Of all its vCPUs, by slot. */
  kernel: Counters = newCounters();
  /** By key of an IoTable: accesses; and by kind those that no table kept. */
  readonly io = new Map<number, number>();
  readonly ioOthers = new Float64Array(8);
  /** As QEMU sees them, by device and kind. */
  readonly qemuSignals = new Map<string, Float64Array>();
  /** Port, or address of an MMIO page -> QEMU's name of what is there. */
  readonly regions = new Map<number, string>();
  kicks = 0;
  interrupts = 0;

  vcpu(vcpu: string): VcpuSum {
    let sum = this.vcpus.get(vcpu);
    if (sum === undefined) {
      sum = { kernel: NONE, qemu: NONE, kvmNs: 0, qemuNs: 0, idleNs: 0 };
      this.vcpus.set(vcpu, sum);
    }
    return sum;
  }

  /** For reading only: they may be those of the VM itself. */
  get durations(): ExitDurations {
    const [first, second] = this.#durations;
    if (first !== undefined && second === undefined) return first;
    const sum = new ExitDurations();
    for (const durations of this.#durations) sum.add(durations);
    return sum;
  }

  add(vcpu: string, counts: VcpuCounts): void {
    const { exitTimer, io } = counts;
    const sum = this.vcpu(vcpu);
    // Nearly always it is run by one thread only, and nothing has to be copied.
    sum.kernel = sum.kernel === NONE ? counts.counts : addCounters(sum.kernel.slice(), counts.counts);
    this.kernel = addCounters(this.kernel, counts.counts);
    sum.kvmNs += exitTimer.kvmNs;
    sum.qemuNs += exitTimer.qemuNs;
    sum.idleNs += exitTimer.idleNs;
    this.#durations.add(exitTimer.durations);
    this.unpairedKvm += exitTimer.unpairedKvm;
    this.unpairedQemu += exitTimer.unpairedQemu;
    for (const [key, count] of io.table.entries()) this.io.set(key, (this.io.get(key) ?? 0) + count);
    io.table.otherCounts.forEach((count, kind) => {
      this.ioOthers[kind] = (this.ioOthers[kind] as number) + count;
    });
    this.kicks += io.kicks;
  }
}
