import { log } from '../../system/log.js';

const QUIET_MS = 60_000;

/** Says that exports fail: at once, then once a minute with how many it were; and when they work again. */
export class ExportReports {
  readonly #url: string;
  readonly #now: () => number;
  /** Since the last time that something was said. */
  #failures = 0;
  #saidMs = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(url: string, now: () => number = () => performance.now()) {
    this.#url = url;
    this.#now = now;
  }

  failed(err: string): void {
    this.#failures++;
    this.#failing = true;
    if (this.#now() - this.#saidMs < QUIET_MS) return;
    log('warn', 'OTLP export failed', { url: this.#url, failures: this.#failures, err });
    this.#failures = 0;
    this.#saidMs = this.#now();
  }

  arrived(): void {
    if (this.#failing) log('info', 'OTLP export works again', { url: this.#url });
    this.#failing = false;
    this.#failures = 0;
    this.#saidMs = Number.NEGATIVE_INFINITY;
  }
}

/** The SDK's own messages, each once a minute. */
export class SdkMessages {
  readonly #saidMs = new Map<string, number>();

  readonly debug = (): void => {};
  readonly verbose = (): void => {};
  readonly info = (): void => {};
  readonly warn = (message: string, ...more: unknown[]): void => this.#say(message, more);
  readonly error = (message: string, ...more: unknown[]): void => this.#say(message, more);

  #say(message: string, more: readonly unknown[]): void {
    const nowMs = performance.now();
    if (nowMs - (this.#saidMs.get(message) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return;
    // Messages may have anything in them: those of the last minute are enough to remember.
    for (const [said, saidMs] of this.#saidMs) if (nowMs - saidMs >= QUIET_MS) this.#saidMs.delete(said);
    if (this.#saidMs.size < 100) this.#saidMs.set(message, nowMs);
    log('warn', 'OpenTelemetry SDK', { err: [message, ...more].map(String).join(' ') });
  }
}
