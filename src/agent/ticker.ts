/** Does something again and again. Whoever waits for the event loop gets it in between, also where the pause is 0. */
export class Ticker {
  readonly #work: () => number;
  #again: (() => void) | undefined;

  /** @param work returns the pause after it, in milliseconds */
  constructor(work: () => number) {
    this.#work = work;
  }

  /**
   * Until the signal comes.
   * @throws what the work throws
   */
  run(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = () => {
        this.#again = undefined;
        clearTimeout(timer);
        resolve();
      };
      const again = () => {
        clearTimeout(timer);
        try {
          const pauseMs = this.#work();
          if (!signal.aborted) timer = setTimeout(again, pauseMs);
        } catch (error) {
          this.#again = undefined;
          signal.removeEventListener('abort', end);
          reject(error);
        }
      };
      if (signal.aborted) return end();
      signal.addEventListener('abort', end, { once: true });
      this.#again = again;
      again();
    });
  }

  /** Ends the pause, while it runs. */
  wakeNow(): void {
    this.#again?.();
  }
}
