import type { VmTotals } from '../totals/vm-totals.js';
import type { CounterLayout } from '../vcpu/counter-layout.js';
import { addFigures, type Figures, figuresOf, growthBetween, INTERRUPTS, noFigures, SINGLE, VCPU } from './figures.js';

/**
 * What was counted of one VM in times in which all of its events were, between windows too. Nothing of it is estimated
 * but the interrupts of other threads, which only windows show.
 */
export class FocusedVm {
  readonly #layout: CounterLayout;
  readonly #base = noFigures();
  /** Figures when the present time or the period began; undefined while only windows count all events. */
  #from: Figures | undefined;
  /** KVM's count of exits when the present time began, less those that were counted in earlier times. */
  #kvmOffset = Number.NaN;

  constructor(layout: CounterLayout) {
    this.#layout = layout;
  }

  get isFocused(): boolean {
    return this.#from !== undefined;
  }

  /** All events of the VM are counted from now on. @param kvmExits by KVM's count; NaN if that is not known */
  begin(totals: VmTotals, kvmExits: number): void {
    this.#from = figuresOf(totals);
    this.#kvmOffset = kvmExits - this.#exitsOf(this.#base);
  }

  /** @param part of the period that its windows took */
  endPeriod(totals: VmTotals, part: number): void {
    addFigures(this.#base, this.#growth(totals, 1 / part));
    this.#from = figuresOf(totals);
  }

  /** Only windows count all events from now on. Returns what KVM's count would be if nothing was missed. */
  end(totals: VmTotals): number {
    addFigures(this.#base, this.#growth(totals, 0));
    this.#from = undefined;
    return this.#kvmOffset + this.#exitsOf(this.#base);
  }

  /** Everything that was counted. */
  figures(totals: VmTotals): Figures {
    const all = noFigures();
    addFigures(all, this.#base);
    addFigures(all, this.#growth(totals, 0));
    return all;
  }

  /** Exits by reason, until the last end of a period. */
  exits(): Map<number, number> {
    const exits = new Map<number, number>();
    for (const [name, counters] of this.#base.parts) {
      if (!name.startsWith(VCPU)) continue;
      for (const { slot, reason } of this.#layout.slots('exits')) {
        const count = counters[slot] ?? 0;
        if (count > 0) exits.set(reason, (exits.get(reason) ?? 0) + count);
      }
    }
    return exits;
  }

  #exitsOf({ parts }: Figures): number {
    let sum = 0;
    for (const [name, counters] of parts) if (name.startsWith(VCPU)) sum += this.#layout.total('exits', counters);
    return sum;
  }

  /** @param perInterrupt what one interrupt that was seen stands for */
  #growth(totals: VmTotals, perInterrupt: number): Figures {
    if (this.#from === undefined) return noFigures();
    const growth = growthBetween(this.#from, figuresOf(totals));
    const single = growth.parts.get(SINGLE);
    if (single !== undefined) single[INTERRUPTS] = (single[INTERRUPTS] ?? 0) * perInterrupt;
    return growth;
  }
}
