import type { Observation, VmCounts } from './observation.js';

/** The time between two observations. */
export class Period {
  readonly newer: Observation;
  readonly #older: Observation | undefined;
  /** Null if there is only one observation: then no rate is known. */
  readonly seconds: number | null;

  constructor(newer: Observation, older: Observation | undefined) {
    this.newer = newer;
    this.#older = older;
    this.seconds = older === undefined ? null : (newer.atMs - older.atMs) / 1000;
  }

  /** What was counted of a VM before the period; undefined if nothing was. */
  before(vm: string): VmCounts | undefined {
    return this.#older?.vms.get(vm);
  }

  get lostPerSecond(): number | null {
    return this.perSecond(rise(this.newer.lost, this.#older?.lost));
  }

  perSecond(count: number): number | null {
    return this.seconds === null ? null : count / this.seconds;
  }
}

/** How much a counter rose; 0 if it started again. */
export function rise(now: number, then = 0): number {
  return Math.max(0, now - then);
}

/** Rows of a list that is bounded, and how many more there are. */
export interface Bounded<Row> {
  readonly rows: readonly Row[];
  readonly more: number;
}

export const MAX_ROWS = 100;

/** The first rows. */
export function bounded<Row>(rows: readonly Row[]): Bounded<Row> {
  return { rows: rows.slice(0, MAX_ROWS), more: Math.max(0, rows.length - MAX_ROWS) };
}
