import { ioeventfdsByVm, type QemuView } from './qemu-views.js';
import type { ThreadOwner } from './thread-owners.js';
import { ExitDurations } from './vcpu/exit-durations.js';
import type { VcpuCounts } from './vcpu/vcpu-counts.js';

/** What the vCPUs of a VM have in common: the histogram of their durations, and the ioeventfds of the VM. */
export class SharedByVcpus {
  readonly #vcpus: () => Iterable<VcpuCounts>;
  readonly #ownerOf: (tid: number) => ThreadOwner | undefined;
  /** Label of the VM -> the histograms that its vCPUs share. */
  readonly #durations = new Map<string, ExitDurations>();

  constructor(vcpus: () => Iterable<VcpuCounts>, ownerOf: (tid: number) => ThreadOwner | undefined) {
    this.#vcpus = vcpus;
    this.#ownerOf = ownerOf;
  }

  /** Has the vCPUs of each known VM count into one histogram. */
  shareDurations(): void {
    for (const { tid, exitTimer } of this.#vcpus()) {
      const vm = this.#ownerOf(tid)?.vm;
      if (vm === undefined) continue;
      const shared = this.#durations.get(vm.label) ?? new ExitDurations(true);
      this.#durations.set(vm.label, shared);
      if (exitTimer.durations !== shared) exitTimer.useSharedHistogram(shared);
    }
  }

  /** Gives every vCPU the ioeventfds of its VM, which tell kicks from other writes. */
  shareIoeventfds(views: readonly QemuView[]): void {
    if (views.every(({ counts }) => counts.ioeventfds.size === 0)) return;
    const tables = ioeventfdsByVm(views);
    for (const vcpu of this.#vcpus()) {
      const owner = this.#ownerOf(vcpu.tid);
      if (owner !== undefined) vcpu.io.ioeventfds = tables.get(owner.vm?.label ?? '');
    }
  }

  forget(label: string): void {
    this.#durations.delete(label);
  }
}
