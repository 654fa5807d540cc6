import type { SamplingPlan, WindowLength, WindowLoad } from './sampling-plan.js';

/**
 * Seconds that an event costs the vCPU that raises it. Guests that exited as fast as they could lost 6.3 % at 115,000
 * events a second, and 11.4 % at 230,000 (docs/overhead.md).
 */
const SECONDS_PER_EVENT = 500e-9;
/** The part of the budget that is planned for: events cost more on some hosts, and become more between windows. */
const PLANNED = 1 / 3;
const MIN_WINDOW_MS = 1000;
const PERIOD_MS = 20_000;
const MAX_PERIOD_MS = 600_000;
/** The first window shows what events cost here. */
const FIRST: WindowLength = { windowMs: MIN_WINDOW_MS, periodMs: 2 * MIN_WINDOW_MS };
/** Above this part, events stay on: switching them would cost about as much as it saves. */
const ALWAYS_ON = 0.9;

/** Windows as long as a budget allows: the busiest vCPU spends at most this part of its time on sampled events. */
export class AutoPlan implements SamplingPlan {
  readonly #budget: number;
  #length = FIRST;

  /** @param budget part of a vCPU's time */
  constructor(budget: number) {
    this.#budget = budget;
  }

  next(): WindowLength {
    return this.#length;
  }

  observe({ eventsPerSecond }: WindowLoad): void {
    const part = (PLANNED * this.#budget) / (eventsPerSecond * SECONDS_PER_EVENT);
    if (part >= ALWAYS_ON) this.#length = { windowMs: PERIOD_MS, periodMs: PERIOD_MS };
    else {
      const windowMs = Math.max(MIN_WINDOW_MS, part * PERIOD_MS);
      this.#length = { windowMs, periodMs: Math.min(MAX_PERIOD_MS, Math.max(PERIOD_MS, windowMs / part)) };
    }
  }
}
