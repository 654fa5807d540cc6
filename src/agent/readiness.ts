import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';

/**
 * The reason why the agent cannot do all of its work yet. Each new reason is logged once, however often the work is
 * tried again.
 */
export class Readiness {
  #reason = '';

  /** '' if the agent waits for nothing. */
  get reason(): string {
    return this.#reason;
  }

  wait(reason: string): void {
    if (this.#reason !== reason) log('warn', 'waiting', { err: reason });
    this.#reason = reason;
  }

  ready(): void {
    this.#reason = '';
  }

  /**
   * Runs `work`; if it throws an AgentError, that is what the agent waits for. @throws any other error, which is a bug
   */
  attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.wait(error.message);
    }
  }
}
