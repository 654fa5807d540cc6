import { BUFFER_BYTES, type BufferPool } from './buffer-pool.js';

const MAX_UTF8_BYTES = 4;
const encoder = new TextEncoder();

/** Encodes text as UTF-8 into buffers of a pool. */
export class PooledTextWriter {
  /** The text written so far: the used part of each of the {@link buffers}. */
  readonly pieces: Buffer[] = [];
  readonly buffers: Buffer[] = [];
  readonly #pool: BufferPool;
  /** Bytes used in the last buffer. */
  #used = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  write(text: string): void {
    for (let rest = text; rest !== ''; ) {
      const buffer = this.#bufferWithRoom();
      const { read, written } = encoder.encodeInto(rest, buffer.subarray(this.#used));
      this.#used += written;
      this.pieces[this.buffers.length - 1] = buffer.subarray(0, this.#used);
      rest = rest.slice(read);
    }
  }

  #bufferWithRoom(): Buffer {
    const last = this.buffers.at(-1);
    if (last !== undefined && BUFFER_BYTES - this.#used >= MAX_UTF8_BYTES) return last;
    const buffer = this.#pool.take();
    this.buffers.push(buffer);
    this.#used = 0;
    return buffer;
  }
}
