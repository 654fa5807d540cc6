import { Readable } from 'node:stream';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import type { PrometheusView } from '../../expose/prometheus.js';
import type { TextFormat } from '../../expose/text-format.js';
import { ChunkPool, ChunkWriter } from './chunks.js';

/** So long at a time; then whoever else waits for the event loop - a drain of the kernel's buffers, a health check - gets it. */
const SLICE_MS = 10;
/** Packs nearly as well as the default and takes a third of its time. */
const GZIP_LEVEL = 1;

/**
 * Writes expositions, one at a time. Whoever asks while one is being written gets the next, together with all others who wait: fifty scrapes at once
 * cost two expositions, in time and in memory, and nobody gets figures from before they asked.
 */
export class Scrapes {
  readonly #view: PrometheusView;
  readonly #next = new Map<TextFormat, { readonly exposition: Promise<Exposition>; readers: number }>();
  readonly #pool = new ChunkPool();
  #last: Promise<unknown> = Promise.resolve();

  constructor(view: PrometheusView) {
    this.#view = view;
  }

  /** Who has read it should say so: {@link Exposition.done}. */
  take(format: TextFormat): Promise<Exposition> {
    const known = this.#next.get(format);
    if (known !== undefined) {
      known.readers++;
      return known.exposition;
    }
    const exposition = this.#write(format, this.#last);
    this.#next.set(format, { exposition, readers: 1 });
    this.#last = exposition.catch(() => {});
    return exposition;
  }

  async #write(format: TextFormat, before: Promise<unknown>): Promise<Exposition> {
    await before;
    // Others whose requests have come in meanwhile join.
    await othersFirst();
    const readers = this.#next.get(format)?.readers ?? 0;
    this.#next.delete(format);
    const writer = new ChunkWriter(this.#pool);
    let sliceEndMs = performance.now() + SLICE_MS;
    for await (const piece of this.#view.pieces(format)) {
      writer.write(piece);
      if (performance.now() < sliceEndMs) continue;
      await othersFirst();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    return new Exposition(writer.pieces, readers, () => this.#pool.give(writer.chunks));
  }
}

/** Shared by all who get it. */
export class Exposition {
  readonly plain: readonly Buffer[];
  readonly #free: () => void;
  #readers: number;
  #gzipped: Promise<readonly Buffer[]> | undefined;

  /** @param free called once all readers are done */
  constructor(plain: readonly Buffer[], readers: number, free: () => void) {
    this.plain = plain;
    this.#readers = readers;
    this.#free = free;
  }

  /** A reader has it all and will not look again. Whoever goes away in the middle need not say so: then nothing is used again. */
  done(): void {
    if (--this.#readers === 0) this.#free();
  }

  gzipped(): Promise<readonly Buffer[]> {
    this.#gzipped ??= gzip(this.plain);
    return this.#gzipped;
  }
}

async function gzip(pieces: readonly Buffer[]): Promise<Buffer[]> {
  const packed: Buffer[] = [];
  for await (const piece of Readable.from(pieces).pipe(createGzip({ level: GZIP_LEVEL }))) packed.push(piece);
  return packed;
}
