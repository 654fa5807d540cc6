/**
 * How often the kernel's buffers are drained: seldom enough to cost little, often enough that they never fill up.
 *
 *   drain ─► fill of the fullest buffer ─► pause until the next one
 */
import { availableParallelism } from 'node:os';

/** Longest pause. Under load seldom is cheap: each drain finds the caches cold. A scrape drains first. */
const SLOWEST_MS = 500;
/**
 * The same where little happens: a VM that lives for a moment only must be looked at while it does. To ask a CPU in vain takes some
 * 10 microseconds, so with hundreds of them it is done less often.
 */
const QUIET_MS = Math.min(SLOWEST_MS, Math.max(100, availableParallelism()));
/** Little: a drain has read no more than this from any CPU. */
const QUIET_BYTES = 2 << 16;
const FASTEST_MS = 10;
/** While a VM starts its threads come one by one, and it may end at once. */
const HURRY_MS = 25;
const HURRIED_DRAINS = 20;
/** A buffer fuller than this at a drain: come more often. Half of it: more seldom. */
const HIGH_WATER = 1 / 8;

export class Pace {
  readonly #bufferSize: number;
  #pauseMs = FASTEST_MS;
  #hurried = 0;

  /** @param bufferSize bytes of a CPU's buffer */
  constructor(bufferSize: number) {
    this.#bufferSize = bufferSize;
  }

  /** Between two drains. */
  get pauseMs(): number {
    return this.#hurried > 0 ? Math.min(HURRY_MS, this.#pauseMs) : this.#pauseMs;
  }

  /** @param mostBytes what the drain has read of the fullest buffer */
  adapt(mostBytes: number): void {
    if (this.#hurried > 0) this.#hurried--;
    const fill = mostBytes / this.#bufferSize;
    if (fill > HIGH_WATER) this.#pauseMs = Math.max(FASTEST_MS, this.#pauseMs / 2);
    else if (mostBytes <= QUIET_BYTES) this.#pauseMs = QUIET_MS;
    else if (fill < HIGH_WATER / 2) this.#pauseMs = Math.min(SLOWEST_MS, this.#pauseMs * 1.25);
  }

  /** A VM has started. */
  hurry(): void {
    this.#hurried = HURRIED_DRAINS;
  }

  /** Nothing is drained. */
  rest(): void {
    this.#pauseMs = QUIET_MS;
  }
}

/**
 * Does it again and again until the signal comes. Whoever waits for the event loop gets it in between, also where the pause is 0.
 * @param work returns the pause after it, in milliseconds
 * @throws what `work` throws
 */
export function repeat(signal: AbortSignal, work: () => number): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    const again = () => {
      try {
        const pauseMs = work();
        if (!signal.aborted) timer = setTimeout(again, pauseMs);
      } catch (error) {
        signal.removeEventListener('abort', end);
        reject(error);
      }
    };
    if (signal.aborted) return end();
    signal.addEventListener('abort', end, { once: true });
    again();
  });
}
