import { addCount, addCounters, type Counters, newCounters } from '../counters/counters.js';
import { KINDS } from '../counters/key-table.js';
import { newVcpuTime, type VcpuTime } from '../time/vcpu-time.js';
import { ExitDurations } from '../vcpu/exit-durations.js';
import { shownKey } from '../vcpu/io-keys.js';
import type { VcpuCounts } from '../vcpu/vcpu-counts.js';
import type { ApicvInhibit } from './apicv-inhibits.js';

/** What was counted for one vCPU, by all of its threads. */
export interface VcpuTotals {
  /** Counts of the kernel's trace by slot. Read only: it may be the counter array of the vCPU itself. */
  kernel: Counters;
  /** Counts of `kvm_run_exit`, QEMU's view of exits to userspace, by reason. */
  qemu: Counters;
  /** Its time by state, as far as that is known. */
  readonly time: VcpuTime;
}

const NONE: Counters = new Float64Array(0);

/** What all sources counted for one VM. */
export class VmTotals {
  /** vCPU number -> its totals; under '' exits whose vCPU is not known. */
  readonly vcpus = new Map<string, VcpuTotals>();
  /** The histograms to add up. A set, because the vCPUs of a VM usually share one. */
  readonly #durations = new Set<ExitDurations>();
  unpairedKvm = 0;
  unpairedQemu = 0;
  /** Counts of the kernel's trace by slot, all vCPUs together. */
  kernel: Counters = newCounters();
  /** Key of an {@link KeyTable} -> accesses. */
  readonly io = new Map<number, number>();
  /** The same keys -> nanoseconds in userspace, as far as they are known. */
  readonly ioNs = new Map<number, number>();
  /** Accesses that no table kept by address, by {@link kindOf}. */
  readonly otherIo = new Float64Array(KINDS);
  /** {@link indexKey} -> events. */
  readonly indices = new Map<number, number>();
  /** Events whose index no table kept, by kind. */
  readonly otherIndices = new Float64Array(KINDS);
  /** What keeps APICv off: reason -> how often it began to, and whether it does now. */
  readonly apicv = new Map<number, ApicvInhibit>();
  /** Device -> signals by kind, as QEMU's own trace counts them. */
  readonly qemuSignals = new Map<string, Float64Array>();
  /** Port, or address of an MMIO page -> QEMU's name of the memory region there. */
  readonly regionNames = new Map<number, string>();
  kicks = 0;
  interrupts = 0;

  vcpu(vcpu: string): VcpuTotals {
    let totals = this.vcpus.get(vcpu);
    if (totals === undefined) {
      totals = { kernel: NONE, qemu: NONE, time: newVcpuTime() };
      this.vcpus.set(vcpu, totals);
    }
    return totals;
  }

  /** From now on, {@link durations} are these. */
  showDurations(durations: ExitDurations): void {
    this.#durations.clear();
    this.#durations.add(durations);
  }

  /** Read only: these may be the live histograms of the VM. */
  get durations(): ExitDurations {
    const [first, second] = this.#durations;
    if (first !== undefined && second === undefined) return first;
    const sum = new ExitDurations();
    for (const durations of this.#durations) sum.add(durations);
    return sum;
  }

  /**
   * @param showsUserspaceExits false for a trace without kvm_userspace_exit: it does not prove that the kernel answered
   *   an access, nor that it took one for an ioeventfd
   */
  add(vcpu: string, counts: VcpuCounts, showsUserspaceExits: boolean): void {
    const { exitTimer, io } = counts;
    const totals = this.vcpu(vcpu);
    // Most vCPUs are run by one thread only; their counters are used without a copy.
    totals.kernel = totals.kernel === NONE ? counts.counts : addCounters(totals.kernel.slice(), counts.counts);
    this.kernel = addCounters(this.kernel, counts.counts);
    this.#durations.add(exitTimer.durations);
    this.unpairedKvm += exitTimer.unpairedKvm;
    this.unpairedQemu += exitTimer.unpairedQemu;
    for (const [own, count] of io.table.entries()) {
      const key = shownKey(own, showsUserspaceExits);
      this.io.set(key, (this.io.get(key) ?? 0) + count);
      const ns = io.table.timeOf(own);
      if (ns > 0) addCount(this.ioNs, key, ns);
    }
    io.table.otherCounts.forEach((count, own) => {
      const kind = shownKey(own, showsUserspaceExits);
      this.otherIo[kind] = (this.otherIo[kind] as number) + count;
    });
    for (const [key, count] of counts.indices?.entries() ?? []) addCount(this.indices, key, count);
    counts.indices?.otherCounts.forEach((count, kind) => {
      this.otherIndices[kind] = (this.otherIndices[kind] as number) + count;
    });
    this.kicks += showsUserspaceExits ? io.kicks : io.fastKicks;
  }
}

/** Returns the totals of a VM, new ones if there are none yet. */
export function totalsIn(vms: Map<string, VmTotals>): (label: string) => VmTotals {
  return (label) => {
    const totals = vms.get(label) ?? new VmTotals();
    vms.set(label, totals);
    return totals;
  };
}
