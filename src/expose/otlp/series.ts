import type { HrTime } from '@opentelemetry/api';
import type { HistogramSample } from '../../snapshot/catalogue.js';

/** What is remembered of a series between two collections: since when it counts, and what of it has arrived. */
export interface SeriesState {
  start: HrTime;
  /** At the last collection. */
  seen: number;
  /** In which collection. */
  round: number;
  /** What the receiver has of it, as long as only differences are sent. */
  arrived: { readonly value: Total; readonly at: HrTime } | undefined;
}

export type Total = number | HistogramSample[1];

export interface Collection {
  /** This collection, and the one before it. */
  readonly now: HrTime;
  readonly before: HrTime;
  /** VMs that are not the ones they were in the collection before, though they are called the same. */
  readonly restarted: ReadonlySet<string>;
}

/**
 * The series of one metric: when each began to count.
 *
 * A series that was not there at the collection before began after it, and that is the start that is told: between the two, nothing was
 * counted that is not in its value. A series whose value fell, or whose VM was started again, began anew. One that is not there any more is
 * forgotten, and so is not exported any more.
 */
export class SeriesStates {
  readonly #states = new Map<string, SeriesState>();
  #round = 0;

  /** Call before each collection. */
  begin(): void {
    this.#round++;
  }

  /** @param vm the series' VM, undefined where it has none */
  state(key: string, value: number, vm: string | undefined, { before, restarted }: Collection): SeriesState {
    const known = this.#states.get(key);
    if (known === undefined || value < known.seen || (vm !== undefined && restarted.has(vm))) {
      const state = { start: before, seen: value, round: this.#round, arrived: undefined };
      this.#states.set(key, state);
      return state;
    }
    known.seen = value;
    known.round = this.#round;
    return known;
  }

  /** Call after each collection: what was not in it has ended. */
  end(): void {
    for (const [key, { round }] of this.#states) if (round !== this.#round) this.#states.delete(key);
  }

  get size(): number {
    return this.#states.size;
  }
}
