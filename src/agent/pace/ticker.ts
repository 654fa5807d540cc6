import { onBeat } from '../../system/timers/beat.js';

/**
 * Runs work again and again, with a pause after each run. Other work of the event loop runs in between, even if the
 * pause is 0.
 */
export class Ticker {
  readonly #work: () => number;
  #tick: (() => void) | undefined;

  /** @param work returns the pause after this run, in milliseconds */
  constructor(work: () => number) {
    this.#work = work;
  }

  /**
   * Runs the work until the signal is aborted.
   * @throws what the work throws
   */
  run(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = () => {
        this.#tick = undefined;
        clearTimeout(timer);
        resolve();
      };
      const tick = () => {
        clearTimeout(timer);
        try {
          const startMs = performance.now();
          const pauseMs = this.#work();
          if (!signal.aborted) timer = setTimeout(tick, onBeat(pauseMs, performance.now() - startMs));
        } catch (error) {
          this.#tick = undefined;
          signal.removeEventListener('abort', end);
          reject(error);
        }
      };
      if (signal.aborted) return end();
      signal.addEventListener('abort', end, { once: true });
      this.#tick = tick;
      tick();
    });
  }

  /** Ends the current pause; does nothing if the ticker is not running. */
  wakeNow(): void {
    this.#tick?.();
  }
}
