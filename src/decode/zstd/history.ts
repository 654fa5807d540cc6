import { MAX_BLOCK } from './block-bits.js';
import { ensure } from './damage.js';

/** Shorter pieces are copied byte by byte, which is faster than a call. */
const MIN_COPY = 32;
/** Memory grows only as content comes, whatever window the file claims. */
const FIRST_SIZE = 1 << 18;

/** The content of the current frame as far back as matches may reach, the latest block at its end. */
export class History {
  #bytes = new Uint8Array(FIRST_SIZE);
  /** End of the content. */
  #end = 0;
  /** Start of the frame's content, as far as it is still here. */
  #start = 0;
  /** Start of the current block. */
  #blockStart = 0;
  /** How far back a match may reach. */
  #window = 0;

  startFrame(window: number): void {
    this.#window = window;
    this.#start = 0;
    this.#end = 0;
  }

  startBlock(): void {
    if (this.#end + MAX_BLOCK > this.#bytes.length) this.#makeRoom();
    this.#blockStart = this.#end;
  }

  /** What was added since {@link startBlock}. Valid until the next block. */
  block(): Uint8Array {
    return this.#bytes.subarray(this.#blockStart, this.#end);
  }

  addLiterals(from: Uint8Array, start: number, end: number): void {
    const bytes = this.#bytes;
    let to = this.#end;
    this.#end += end - start;
    if (end - start >= MIN_COPY) bytes.set(from.subarray(start, end), to);
    else for (let at = start; at < end; at++) bytes[to++] = from[at] as number;
  }

  addRepeated(byte: number, count: number): void {
    this.#bytes.fill(byte, this.#end, this.#end + count);
    this.#end += count;
  }

  /** Repeats `length` bytes that begin `distance` bytes ago. The piece may overlap with itself. */
  addMatch(distance: number, length: number): void {
    const bytes = this.#bytes;
    let to = this.#end;
    let from = to - distance;
    ensure(distance > 0 && from >= this.#start && distance <= this.#window, 'a match before the start');
    this.#end += length;
    if (length >= MIN_COPY && distance >= length) bytes.copyWithin(to, from, from + length);
    else for (const end = this.#end; to < end; ) bytes[to++] = bytes[from++] as number;
  }

  /** Drops what no match can reach, and grows while more content than ever before is within reach. */
  #makeRoom(): void {
    const kept = Math.min(this.#end - this.#start, this.#window);
    const keptFrom = this.#end - kept;
    const size = Math.max(FIRST_SIZE, 2 * kept + MAX_BLOCK);
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(size);
      larger.set(this.#bytes.subarray(keptFrom, this.#end));
      this.#bytes = larger;
    } else this.#bytes.copyWithin(0, keptFrom, this.#end);
    this.#start = 0;
    this.#end = kept;
  }
}
