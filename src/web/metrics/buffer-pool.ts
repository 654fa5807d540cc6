export const BUFFER_BYTES = 128 << 10;

/**
 * Buffers for expositions, reused. An exposition of 160,000 series has 17 MB, and buffers left to the garbage collector
 * stay resident for several scrapes before it frees them.
 */
export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    // "Slow" means memory of its own instead of a part of Node's shared pool; unsafe means not zeroed.
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  /**
   * Returns the buffers of an exposition that has been read. The pool keeps at most as many as that exposition needed,
   * because expositions can become shorter again.
   */
  give(buffers: readonly Buffer[]): void {
    this.#free.push(...buffers.slice(this.#free.length));
    this.#free.length = Math.min(this.#free.length, buffers.length);
  }
}
