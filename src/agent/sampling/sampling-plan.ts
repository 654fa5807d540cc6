/** How long to count all events, and how often. Times are milliseconds. */
export interface WindowLength {
  readonly windowMs: number;
  readonly periodMs: number;
}

/** What a window has shown of the events' cost. */
export interface WindowLoad {
  /** Events per second of the vCPU thread that had most of them. */
  readonly eventsPerSecond: number;
}

/** Decides how long the next window and its period are. */
export interface SamplingPlan {
  next(): WindowLength;
  /** Call it after each window. */
  observe(load: WindowLoad): void;
}

/** The first period is short, so that the first figures come soon. */
const FIRST_PERIOD_WINDOWS = 2;

/** Windows of one length. */
export class FixedPlan implements SamplingPlan {
  readonly #length: WindowLength;
  #isFirst = true;

  constructor(length: WindowLength) {
    this.#length = length;
  }

  next(): WindowLength {
    const { windowMs, periodMs } = this.#length;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    return isFirst ? { windowMs, periodMs: Math.min(periodMs, FIRST_PERIOD_WINDOWS * windowMs) } : this.#length;
  }

  observe(): void {}
}
