/**
 * Cuts a saved `cpuN.raw`, which is a sequence of reads of trace_pipe_raw, into its pages. Takes chunks of any size.
 *
 * All pages have the size of the sub-buffer: 4096 bytes, or more if buffer_subbuf_size_kb was set (Linux 6.8+) or the
 * kernel's pages are larger. The stream holds one chunk and at most one page. The caller asks for pages one by one, so
 * that several CPUs can be merged:
 *
 *     for (let page = pages.next(); page === undefined; page = pages.next()) pages.push(await more());
 */
export class PageStream {
  readonly pageSize: number;
  /** A page whose bytes come from several chunks. The first {@link #held} bytes are valid. */
  readonly #partial: Uint8Array;
  #held = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  /** Position of the next byte in the chunk. */
  #at = 0;

  /** @param pageSize an impossible size is replaced by 4096 */
  constructor(pageSize = 4096) {
    this.pageSize = Number.isInteger(pageSize) && pageSize > 0 ? pageSize : 4096;
    this.#partial = new Uint8Array(this.pageSize);
  }

  /** Adds a chunk. It is not copied and must not change until {@link next} returned all its pages. */
  push(chunk: Uint8Array): void {
    const rest = this.#chunk.length - this.#at;
    if (rest === 0) {
      this.#chunk = chunk;
    } else {
      const both = new Uint8Array(rest + chunk.length);
      both.set(this.#chunk.subarray(this.#at));
      both.set(chunk, rest);
      this.#chunk = both;
    }
    this.#at = 0;
  }

  /** The next page, undefined if another chunk is needed. Valid until the following call. */
  next(): Uint8Array | undefined {
    if (this.#held === this.pageSize) this.#held = 0;
    const missing = this.pageSize - this.#held;
    const available = this.#chunk.length - this.#at;
    if (this.#held === 0 && available >= missing) {
      const page = this.#chunk.subarray(this.#at, this.#at + missing);
      this.#at += missing;
      return page;
    }
    const taken = Math.min(missing, available);
    this.#partial.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#held);
    this.#held += taken;
    this.#at += taken;
    return this.#held === this.pageSize ? this.#partial : undefined;
  }

  /** The rest of a page that was cut, after the last chunk. A {@link PageCursor} reads its complete records. */
  end(): Uint8Array | undefined {
    if (this.#held === 0 || this.#held === this.pageSize) return undefined;
    const rest = this.#partial.subarray(0, this.#held);
    this.#held = 0;
    return rest;
  }
}
