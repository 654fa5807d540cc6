import { addHistogram, type DurationHistogram, newHistogram } from '../counters/duration-histogram.js';

/** Histograms of exit durations by layer and reason; undefined for a reason without a paired exit. */
export class ExitDurations {
  readonly kvm: (DurationHistogram | undefined)[] = [];
  readonly qemu: (DurationHistogram | undefined)[] = [];
  /**
   * True if all vCPUs of a VM count here. Durations are shown per VM, and separate histograms would dominate a large
   * host's memory.
   */
  readonly isShared: boolean;

  constructor(isShared = false) {
    this.isShared = isShared;
  }

  add(from: ExitDurations): void {
    addAll(this.kvm, from.kvm);
    addAll(this.qemu, from.qemu);
  }
}

function addAll(to: (DurationHistogram | undefined)[], from: readonly (DurationHistogram | undefined)[]): void {
  from.forEach((histogram, reason) => {
    if (histogram === undefined) return;
    const sum = to[reason] ?? newHistogram();
    addHistogram(sum, histogram);
    to[reason] = sum;
  });
}
