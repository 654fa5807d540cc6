import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds between two measurements. 50 cost 0.1 % of a CPU, 10 cost three times as much. */
const RESOLUTION_MS = 50;
const WINDOW_MS = 60_000;
const NS_PER_SECOND = 1e9;

/**
 * Measures how long the event loop was busy with one piece of work, so that it could neither drain ring buffers nor
 * answer health checks.
 *
 * Node's own figures (nodejs_eventloop_lag_*) are times between two measurements, so that a loop that never stalls has
 * a lag of one interval, and each scraper resets them for the next.
 */
export class EventLoopStalls {
  readonly #intervals = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #now: () => number;
  #windowStartMs: number;
  #previousMax = 0;

  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#windowStartMs = now();
    this.#intervals.enable();
  }

  /** The longest stall of the last one to two minutes, in seconds; up to {@link RESOLUTION_MS} too short. */
  longestSeconds(): number {
    const longest = Math.max(0, this.#intervals.max / NS_PER_SECOND - RESOLUTION_MS / 1000);
    const result = Math.max(longest, this.#previousMax);
    if (this.#now() - this.#windowStartMs >= WINDOW_MS) {
      this.#previousMax = longest;
      this.#windowStartMs = this.#now();
      this.#intervals.reset();
    }
    return result;
  }
}
