/** Seconds between two steps, unless looking costs too much for that. */
const STEP_SECONDS = 5;
/** Length of the history. */
const HISTORY_SECONDS = 15 * 60;
/** Steps that are kept, and one that is being written. */
export const STEPS = HISTORY_SECONDS / STEP_SECONDS + 1;

/** One value for each step, by position; NaN where it is not known. */
export type Series = Float32Array;

export const BYTES_PER_SERIES = STEPS * Float32Array.BYTES_PER_ELEMENT;

export function newSeries(): Series {
  return new Float32Array(STEPS).fill(Number.NaN);
}

/** When the steps were made. All series share the positions: the newest step overwrites the oldest one. */
export class Steps {
  readonly #times = new Float64Array(STEPS).fill(Number.NaN);
  #count = 0;

  /** Position of the latest step that is complete; -1 if there is none. */
  get position(): number {
    return this.#count === 0 ? -1 : (this.#count - 1) % STEPS;
  }

  /** Position of the step that is written next. */
  get next(): number {
    return this.#count % STEPS;
  }

  /** The next step is complete. */
  add(atMs: number): void {
    this.#times[this.next] = atMs;
    this.#count++;
  }

  /** Positions of the complete steps of the last 15 minutes, from old to new. */
  recent(): number[] {
    const kept = Math.min(this.#count, STEPS - 1);
    const positions = Array.from({ length: kept }, (_, index) => (this.#count - kept + index) % STEPS);
    const sinceMs = this.timeOf(this.position) - HISTORY_SECONDS * 1000;
    return positions.filter((position) => this.timeOf(position) >= sinceMs);
  }

  timeOf(position: number): number {
    return this.#times[position] ?? Number.NaN;
  }
}
