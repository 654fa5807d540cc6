import type { Response } from 'express';
import type { Exposition } from './exposition.js';

/** An exposition of 100,000 series has 8 MB. Concurrent scrapes share one, so only slow clients keep more in memory. */
const MAX_EXPOSITIONS = 8;

/**
 * Limits the expositions in memory. Each is kept until its last response is sent, so the clients of the oldest are
 * disconnected.
 */
export class ExpositionLimiter {
  /** Oldest first. */
  readonly #responses = new Map<Exposition, Set<Response>>();

  add(exposition: Exposition, response: Response): void {
    const responses = this.#responses.get(exposition) ?? new Set();
    this.#responses.set(exposition, responses.add(response));
    response.once('close', () => {
      responses.delete(response);
      if (responses.size === 0) this.#responses.delete(exposition);
    });
    const [oldest] = this.#responses.values();
    if (this.#responses.size > MAX_EXPOSITIONS) for (const slow of oldest ?? []) slow.destroy();
  }
}
