import { log } from '../../system/log.js';

const REPEAT_MS = 60_000;
const MAX_REMEMBERED = 100;

/** Logs warnings and errors of the OpenTelemetry SDK, each at most once a minute. */
export class SdkLog {
  readonly #loggedMs = new Map<string, number>();

  readonly debug = (): void => {};
  readonly verbose = (): void => {};
  readonly info = (): void => {};
  readonly warn = (message: string, ...more: unknown[]): void => this.#log(message, more);
  readonly error = (message: string, ...more: unknown[]): void => this.#log(message, more);

  #log(message: string, more: readonly unknown[]): void {
    const nowMs = performance.now();
    if (nowMs - (this.#loggedMs.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    // A message may contain anything, so the number of remembered ones is bounded.
    for (const [text, loggedMs] of this.#loggedMs) if (nowMs - loggedMs >= REPEAT_MS) this.#loggedMs.delete(text);
    if (this.#loggedMs.size < MAX_REMEMBERED) this.#loggedMs.set(message, nowMs);
    log('warn', 'OpenTelemetry SDK', { err: [message, ...more].map(String).join(' ') });
  }
}
