import type { Counters } from '../counters/counters.js';
import type { CounterLayout } from '../vcpu/counter-layout.js';
import { type Figures, VCPU } from './figures.js';
import { WholeNumbers } from './whole-numbers.js';

/** Makes the estimated exits of each vCPU and reason whole numbers that add up to their totals. */
export class RoundedExits {
  readonly #layout: CounterLayout;
  readonly #whole = new WholeNumbers();

  constructor(layout: CounterLayout) {
    this.#layout = layout;
  }

  /**
   * @param exact reasons whose exits are known: each adds up to its own total
   * @param total number of all other exits; undefined: their rounded sum
   */
  round({ parts }: Figures, exact: ReadonlyMap<number, unknown>, total: number | undefined): void {
    const slots = this.#layout.slots('exits');
    for (const { reason, slot } of slots) if (exact.has(reason)) this.#roundSlots(parts, [slot], undefined);
    const rest = slots.filter(({ reason }) => !exact.has(reason)).map(({ slot }) => slot);
    this.#roundSlots(parts, rest, total);
  }

  #roundSlots(parts: ReadonlyMap<string, Counters>, slots: readonly number[], total: number | undefined): void {
    const shares = new Map<string, number>();
    for (const [name, counters] of parts) {
      if (!name.startsWith(VCPU)) continue;
      for (const slot of slots) if ((counters[slot] ?? 0) > 0) shares.set(`${slot} ${name}`, counters[slot] as number);
    }
    let sum = 0;
    for (const share of shares.values()) sum += share;
    for (const [cell, whole] of this.#whole.round(shares, total ?? Math.round(sum))) {
      const at = cell.indexOf(' ');
      const counters = parts.get(cell.slice(at + 1));
      if (counters !== undefined) counters[Number(cell.slice(0, at))] = whole;
    }
  }
}
