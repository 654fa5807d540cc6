import type { HrTime } from '@opentelemetry/api';
import type { HistogramSample } from '../../snapshot/metric.js';

/** State of a series that is kept between collections. */
export interface SeriesState {
  /** Time from which the series counts. */
  start: HrTime;
  /** Value at the latest collection. */
  value: number;
  /** Number of the latest collection that contained the series. */
  round: number;
  /** The total that the receiver has acknowledged; used for delta temporality only. */
  acknowledged: TotalAt | undefined;
  /** The total that was sent, and that the receiver has neither acknowledged nor refused; for deltas only. */
  unanswered: TotalAt | undefined;
}

export interface TotalAt {
  readonly total: Total;
  readonly at: HrTime;
}

export type Total = number | HistogramSample[1];

export interface Collection {
  readonly now: HrTime;
  /** Time of the collection before. */
  readonly previous: HrTime;
  /** Labels of VMs whose series were dropped since the collection before, and began again. */
  readonly restarted: ReadonlySet<string>;
}

/**
 * The series of one metric with their start times.
 *
 * A series that the previous collection did not contain starts at the time of that collection: everything in its value
 * was counted after it. A series starts again if its value fell or its VM restarted. A series that a collection does
 * not contain is forgotten.
 */
export class SeriesStates {
  readonly #states = new Map<string, SeriesState>();
  #round = 0;

  beginCollection(): void {
    this.#round++;
  }

  /** @param vm the series' VM label, undefined if it has none */
  update(key: string, value: number, vm: string | undefined, { previous, restarted }: Collection): SeriesState {
    const known = this.#states.get(key);
    if (known === undefined || value < known.value || (vm !== undefined && restarted.has(vm))) {
      const state = { start: previous, value, round: this.#round, acknowledged: undefined, unanswered: undefined };
      this.#states.set(key, state);
      return state;
    }
    known.value = value;
    known.round = this.#round;
    return known;
  }

  /** True if the receiver has not answered all that was sent. */
  get isUnanswered(): boolean {
    for (const { unanswered } of this.#states.values()) if (unanswered !== undefined) return true;
    return false;
  }

  /** Forgets the series that the collection did not contain. */
  endCollection(): void {
    for (const [key, { round }] of this.#states) if (round !== this.#round) this.#states.delete(key);
  }
}
