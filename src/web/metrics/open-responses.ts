import type { Response } from 'express';
import type { Exposition } from './exposition.js';

/** Concurrent scrapes share an exposition, so more than a few are in memory only if clients are slow to read. */
const MAX_EXPOSITIONS = 8;
/** An exposition of 100,000 series has 8 MB. The newest may have any size. */
const MAX_BYTES = 48 << 20;
/** A client that has not read all after this time gives way to another. Prometheus takes some milliseconds. */
const SLOW_MS = 2000;

interface OpenResponse {
  readonly exposition: Exposition;
  readonly sinceMs: number;
}

/**
 * The responses that clients are reading. Each keeps its exposition in memory and counts as a concurrent scrape, so the
 * slowest clients are disconnected when there are too many.
 */
export class OpenResponses {
  /** Oldest first. */
  readonly #open = new Map<Response, OpenResponse>();
  readonly #now: () => number;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Disconnects the clients of the oldest expositions if this one makes too many. */
  add(response: Response, exposition: Exposition): void {
    this.#open.set(response, { exposition, sinceMs: this.#now() });
    const expositions = new Set([...this.#open.values()].map((open) => open.exposition));
    let bytes = [...expositions].reduce((sum, { byteLength }) => sum + byteLength, 0);
    for (const oldest of expositions) {
      if ((expositions.size <= MAX_EXPOSITIONS && bytes <= MAX_BYTES) || oldest === exposition) break;
      expositions.delete(oldest);
      bytes -= oldest.byteLength;
      for (const [slow, open] of this.#open) if (open.exposition === oldest) this.#disconnect(slow);
    }
  }

  delete(response: Response): void {
    this.#open.delete(response);
  }

  /** Disconnects the client that has been reading for longest. False if none has been for long. */
  disconnectSlowest(): boolean {
    const [[slowest, { sinceMs }] = [undefined, { sinceMs: 0 }]] = this.#open;
    if (slowest === undefined || this.#now() - sinceMs < SLOW_MS) return false;
    this.#disconnect(slowest);
    return true;
  }

  #disconnect(response: Response): void {
    this.#open.delete(response);
    response.destroy();
  }
}
