import type { MemoryBudget } from './memory-budget.js';
import { BYTES_PER_SERIES, newSeries, type Series, STEPS } from './steps.js';

export interface NamedSeries {
  readonly name: string;
  readonly values: Series;
}

/** A name takes the place of another one if its rate is above all rates of that one in so many steps: a minute. */
const QUIET_STEPS = 12;

/**
 * Series of the busiest names, such as reasons, and one of all remaining names together. A name that gets busy later
 * takes the place of the quietest one, whose values are then in the rest.
 */
export class BusiestSeries {
  readonly #maxNames: number;
  readonly #budget: MemoryBudget;
  readonly #byName = new Map<string, Series>();
  readonly rest = newSeries();
  #restIsUsed = false;

  /** @param budget has room for `rest` already */
  constructor(maxNames: number, budget: MemoryBudget) {
    this.#maxNames = maxNames;
    this.#budget = budget;
  }

  /** From the busiest of the last minute to the quietest. */
  named(position: number): NamedSeries[] {
    return [...this.#byName]
      .map(([name, values]) => ({ name, values, recent: maxOfRecent(values, position) }))
      .sort((a, b) => b.recent - a.recent)
      .map(({ name, values }) => ({ name, values }));
  }

  get bytes(): number {
    return (this.#byName.size + 1) * BYTES_PER_SERIES;
  }

  /** @param rates by name; undefined if they are not known in this step. A name without a rate did nothing. */
  write(position: number, rates: ReadonlyMap<string, number> | undefined): void {
    if (rates === undefined) {
      for (const values of [...this.#byName.values(), this.rest]) values[position] = Number.NaN;
      return;
    }
    for (const [name, values] of this.#byName) values[position] = rates.get(name) ?? 0;
    this.rest[position] = 0;
    let busiest: { readonly name: string; readonly rate: number } | undefined;
    for (const [name, rate] of rates) {
      if (rate <= 0 || this.#byName.has(name) || this.#addNew(name, rate, position)) continue;
      this.#restIsUsed = true;
      this.rest[position] = (this.rest[position] as number) + rate;
      if (busiest === undefined || rate > busiest.rate) busiest = { name, rate };
    }
    if (busiest !== undefined) this.#replaceQuietest(busiest.name, busiest.rate, position);
  }

  /** Returns false if there is no room. */
  #addNew(name: string, rate: number, position: number): boolean {
    if (this.#byName.size >= this.#maxNames || !this.#budget.take(BYTES_PER_SERIES)) return false;
    // Until the rest is used, every name that did something has a series: this one did nothing before.
    const values = this.#restIsUsed ? newSeries() : this.rest.map((value) => 0 * value);
    values[position] = rate;
    this.#byName.set(name, values);
    return true;
  }

  #replaceQuietest(name: string, rate: number, position: number): void {
    const quietest = this.named(position).at(-1);
    if (quietest === undefined || maxOfRecent(quietest.values, position) >= rate) return;
    const { values } = quietest;
    // A step in which the name had no series, but the VM was there, is in the rest already.
    for (let i = 0; i < STEPS; i++) this.rest[i] = (this.rest[i] as number) + (values[i] || 0);
    this.rest[position] = Math.max(0, (this.rest[position] as number) - rate);
    values.fill(Number.NaN);
    values[position] = rate;
    this.#byName.delete(quietest.name);
    this.#byName.set(name, values);
  }
}

function maxOfRecent(values: Series, position: number): number {
  let max = 0;
  for (let age = 0; age < QUIET_STEPS; age++) {
    const value = values[(position - age + STEPS) % STEPS] as number;
    if (value > max) max = value;
  }
  return max;
}
