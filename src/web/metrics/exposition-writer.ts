import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { PrometheusView } from '../../expose/prometheus.js';
import type { TextFormat } from '../../expose/text-format.js';
import { BufferPool } from './buffer-pool.js';
import { Exposition } from './exposition.js';
import { PooledTextWriter } from './pooled-text-writer.js';

/** Longest time to write without a pause, in which ring buffers are drained and health checks answered. */
const SLICE_MS = 1;

/**
 * Writes expositions, one at a time. Requests that arrive while one is being written share the next: fifty concurrent
 * scrapes cost two expositions in time and memory, and no scrape gets figures older than its request.
 */
export class ExpositionWriter {
  readonly #view: PrometheusView;
  /** The exposition that is about to be written, by format. */
  readonly #next = new Map<TextFormat, { readonly exposition: Promise<Exposition>; readers: number }>();
  readonly #pool = new BufferPool();
  /** Resolved when the latest exposition is written. */
  #latest: Promise<unknown> = Promise.resolve();

  constructor(view: PrometheusView) {
    this.#view = view;
  }

  /** Call {@link Exposition.done} once it has been read. */
  request(format: TextFormat): Promise<Exposition> {
    const next = this.#next.get(format);
    if (next !== undefined) {
      next.readers++;
      return next.exposition;
    }
    const exposition = this.#write(format, this.#latest);
    this.#next.set(format, { exposition, readers: 1 });
    this.#latest = exposition.catch(() => {});
    return exposition;
  }

  async #write(format: TextFormat, previous: Promise<unknown>): Promise<Exposition> {
    await previous;
    // Lets requests join that have arrived in the meantime.
    await yieldToEventLoop();
    const readers = this.#next.get(format)?.readers ?? 0;
    this.#next.delete(format);
    const writer = new PooledTextWriter(this.#pool);
    let sliceEndMs = performance.now() + SLICE_MS;
    for await (const piece of this.#view.pieces(format)) {
      writer.write(piece);
      if (performance.now() < sliceEndMs) continue;
      await yieldToEventLoop();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    return new Exposition(writer.pieces, readers, () => this.#pool.give(writer.buffers));
  }
}
