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
  /** Number of the VM's series at the latest collection: another one if they were dropped and began again. */
  life: number;
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

/**
 * The series of one metric with their start times.
 *
 * A series that the latest complete collection did not contain starts at the time of that collection: everything in its
 * value was counted after it. A series starts again if its value fell, or if its VM's series were dropped and began
 * again. A series that a complete collection does not contain is forgotten.
 */
export class SeriesStates {
  readonly #states = new Map<string, SeriesState>();
  #round = 0;
  /** Time of the latest complete collection. */
  #previous: HrTime;

  constructor(start: HrTime) {
    this.#previous = start;
  }

  beginCollection(): void {
    this.#round++;
  }

  /** @param life number of the VM's series; 0 if the series belongs to no known VM */
  update(key: string, value: number, life: number): SeriesState {
    const known = this.#states.get(key);
    const isNewLife = known !== undefined && life !== 0 && known.life !== 0 && life !== known.life;
    if (known === undefined || value < known.value || isNewLife) {
      const state = {
        start: this.#previous,
        value,
        round: this.#round,
        life,
        acknowledged: undefined,
        unanswered: undefined,
      };
      this.#states.set(key, state);
      return state;
    }
    known.value = value;
    known.round = this.#round;
    if (life !== 0) known.life = life;
    return known;
  }

  /** True if the receiver has not answered all that was sent. */
  get isUnanswered(): boolean {
    for (const { unanswered } of this.#states.values()) if (unanswered !== undefined) return true;
    return false;
  }

  /** Call it when all series were updated. Forgets those that the collection did not contain. */
  endCollection(now: HrTime): void {
    this.#previous = now;
    for (const [key, { round }] of this.#states) if (round !== this.#round) this.#states.delete(key);
  }
}
