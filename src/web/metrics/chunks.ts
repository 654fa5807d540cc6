/**
 * Memory for expositions, used again and again: one of 160,000 series is 17 MB, and what is thrown away stays resident until the garbage
 * collector finds it worth its while, some expositions later.
 */
const CHUNK_BYTES = 128 << 10;
/** In bytes. */
const LONGEST_CHARACTER = 4;

/** What is free, for whoever writes next. */
export class ChunkPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    // Of its own, and not filled with zeros.
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  /** Nobody reads them any more. Of all that is free no more is kept than these: expositions get shorter, too. */
  give(chunks: readonly Buffer[]): void {
    this.#free.push(...chunks.slice(this.#free.length));
    this.#free.length = Math.min(this.#free.length, chunks.length);
  }
}

const encoder = new TextEncoder();

/** Text in, UTF-8 out. */
export class ChunkWriter {
  /** What was written: parts of {@link chunks}. */
  readonly pieces: Buffer[] = [];
  readonly chunks: Buffer[] = [];
  readonly #pool: ChunkPool;
  /** Bytes of the last one. */
  #used = 0;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  write(text: string): void {
    for (let rest = text; rest !== ''; ) {
      const chunk = this.#withRoom();
      const { read, written } = encoder.encodeInto(rest, chunk.subarray(this.#used));
      this.#used += written;
      this.pieces[this.chunks.length - 1] = chunk.subarray(0, this.#used);
      rest = rest.slice(read);
    }
  }

  #withRoom(): Buffer {
    const last = this.chunks.at(-1);
    if (last !== undefined && CHUNK_BYTES - this.#used >= LONGEST_CHARACTER) return last;
    const chunk = this.#pool.take();
    this.chunks.push(chunk);
    this.#used = 0;
    return chunk;
  }
}
