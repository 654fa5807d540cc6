import type { Response } from 'express';
import type { Exposition } from './scrapes.js';

/** An exposition of 100,000 series is 8 MB; all others of the moment are the same one. */
const MOST = 8;

/** Who reads which exposition. Each is kept in memory until its last reader has it, so whoever is the slowest by far is cut off. */
export class Readers {
  /** Oldest first. */
  readonly #reading = new Map<Exposition, Set<Response>>();

  add(exposition: Exposition, response: Response): void {
    const readers = this.#reading.get(exposition) ?? new Set();
    this.#reading.set(exposition, readers.add(response));
    response.once('close', () => {
      readers.delete(response);
      if (readers.size === 0) this.#reading.delete(exposition);
    });
    const [oldest] = this.#reading.values();
    if (this.#reading.size > MOST) for (const slow of oldest ?? []) slow.destroy();
  }
}
