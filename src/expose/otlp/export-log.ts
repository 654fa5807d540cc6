import { log } from '../../system/log.js';

const REPEAT_MS = 60_000;

/** Logs failed exports: the first at once, then once a minute with their number, and the first success after them. */
export class ExportLog {
  readonly #url: string;
  readonly #now: () => number;
  /** Failures since the last line in the log. */
  #failures = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;

  constructor(url: string, now: () => number = () => performance.now()) {
    this.#url = url;
    this.#now = now;
  }

  failed(err: string): void {
    this.#failures++;
    this.#isFailing = true;
    if (this.#now() - this.#loggedMs < REPEAT_MS) return;
    log('warn', 'OTLP export failed', { url: this.#url, failures: this.#failures, err });
    this.#failures = 0;
    this.#loggedMs = this.#now();
  }

  succeeded(): void {
    if (this.#isFailing) log('info', 'OTLP export works again', { url: this.#url });
    this.#isFailing = false;
    this.#failures = 0;
    this.#loggedMs = Number.NEGATIVE_INFINITY;
  }
}
