import { addCounters, type Counters, newCounters } from '../counters/counters.js';
import type { CounterLayout } from '../vcpu/counter-layout.js';
import { type Figures, VCPU } from './figures.js';

/** Counters that have a reason. That of a cause is the reason of its userspace exit. */
export type Summed = 'exits' | 'userspaceExits' | 'causes';

/** Sums over the vCPUs of a VM, by reason. */
export class ReasonSums {
  readonly #layout: CounterLayout;

  constructor(layout: CounterLayout) {
    this.#layout = layout;
  }

  of(kind: Summed, { parts }: Figures): Map<number, number> {
    let all = newCounters();
    for (const [name, counters] of parts) if (name.startsWith(VCPU)) all = addCounters(all, counters);
    return this.#sums(kind, all);
  }

  /** What was counted between two moments, by the counters of all vCPUs together. */
  grown(kind: Summed, older: Counters, newer: Counters): Map<number, number> {
    return this.#sums(
      kind,
      newer.map((count, slot) => Math.max(0, count - (older[slot] ?? 0))),
    );
  }

  #sums(kind: Summed, counters: Counters): Map<number, number> {
    const sums = new Map<number, number>();
    for (const { slot, reason, userspaceReason } of this.#layout.slots(kind)) {
      const count = counters[slot] ?? 0;
      const key = kind === 'causes' ? userspaceReason : reason;
      if (count > 0) sums.set(key, (sums.get(key) ?? 0) + count);
    }
    return sums;
  }
}
