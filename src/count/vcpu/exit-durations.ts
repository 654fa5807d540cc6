import { addHistogram, type DurationHistogram, newHistogram } from '../counters/duration-histogram.js';

/** How long trips took, by reason; undefined where none was paired yet. */
export class ExitDurations {
  readonly kvm: (DurationHistogram | undefined)[] = [];
  readonly qemu: (DurationHistogram | undefined)[] = [];
  /** Of all vCPUs of one VM, as nobody asks for less: a table for each of them would be most of a large host's memory. */
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
  from.forEach((durations, reason) => {
    if (durations === undefined) return;
    const own = to[reason] ?? newHistogram();
    addHistogram(own, durations);
    to[reason] = own;
  });
}
