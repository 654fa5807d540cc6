import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';

/** What is waited for: it is tried again and again, and said once. */
export class Readiness {
  #reason = '';

  /** '' where nothing is waited for. */
  get reason(): string {
    return this.#reason;
  }

  for(reason: string): void {
    if (this.#reason !== reason) log('warn', 'waiting', { err: reason });
    this.#reason = reason;
  }

  over(): void {
    this.#reason = '';
  }

  /** Does what may not be possible now. @throws what is a bug */
  attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.for(error.message);
    }
  }
}
