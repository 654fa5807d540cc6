import { addDurations, type Durations, newDurations } from '../counters/duration.js';

/** How long trips took, by reason; undefined where none was paired yet. */
export class TripDurations {
  readonly kvm: (Durations | undefined)[] = [];
  readonly qemu: (Durations | undefined)[] = [];
  /** Of all vCPUs of one VM, as nobody asks for less: a table for each of them would be most of a large host's memory. */
  readonly isOfVm: boolean;

  constructor(isOfVm = false) {
    this.isOfVm = isOfVm;
  }

  add(from: TripDurations): void {
    addAll(this.kvm, from.kvm);
    addAll(this.qemu, from.qemu);
  }
}

function addAll(to: (Durations | undefined)[], from: readonly (Durations | undefined)[]): void {
  from.forEach((durations, reason) => {
    if (durations === undefined) return;
    const own = to[reason] ?? newDurations();
    addDurations(own, durations);
    to[reason] = own;
  });
}
