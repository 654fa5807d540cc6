/**
 * A saved `cpuN.raw` (reads of trace_pipe_raw, one behind the other) -> its pages, from chunks of any size.
 *
 * All pages have the size of the sub-buffer: 4096, or more where buffer_subbuf_size_kb was set (6.8+) or the kernel's
 * pages are larger. Holds one chunk and at most one page; the caller takes pages at its own pace, so that several CPUs
 * can be merged:
 *
 *     for (let page = pages.next(); page === undefined; page = pages.next()) pages.push(await more());
 */
export class PageStream {
  readonly pageSize: number;
  /** A page of which the first {@link #held} bytes are there. */
  readonly #partial: Uint8Array;
  #held = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** A size that can't be one is taken as 4096. */
  constructor(pageSize = 4096) {
    this.pageSize = Number.isInteger(pageSize) && pageSize > 0 ? pageSize : 4096;
    this.#partial = new Uint8Array(this.pageSize);
  }

  /** Give more bytes, once {@link next} has no more. The chunk is kept, not copied, until its pages are taken. */
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

  /** The next page; undefined until more is pushed. Good until the call after it. */
  next(): Uint8Array | undefined {
    if (this.#held === this.pageSize) this.#held = 0;
    const missing = this.pageSize - this.#held;
    const there = this.#chunk.length - this.#at;
    if (this.#held === 0 && there >= missing) {
      const page = this.#chunk.subarray(this.#at, this.#at + missing);
      this.#at += missing;
      return page;
    }
    const taken = Math.min(missing, there);
    this.#partial.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#held);
    this.#held += taken;
    this.#at += taken;
    return this.#held === this.pageSize ? this.#partial : undefined;
  }

  /** After the last chunk: what is left of a page that was cut short. A {@link PageCursor} reads its whole records. */
  end(): Uint8Array | undefined {
    if (this.#held === 0 || this.#held === this.pageSize) return undefined;
    const rest = this.#partial.subarray(0, this.#held);
    this.#held = 0;
    return rest;
  }
}
