import { NEWLINE } from './bytes.js';

const CARRIAGE_RETURN = 0x0d;
const FIRST_BUFFER = 1024;

/** Receives the line `bytes[start, end)`. The bytes are valid during the call only. */
export type LineCallback = (bytes: Uint8Array, start: number, end: number) => void;

/**
 * Splits chunks of bytes into lines.
 *
 * A line inside one chunk is passed on in place, without a copy. Only the piece behind the last line end is kept, until
 * the next chunk completes it.
 *
 * A line ends with `\n`; one `\r` before it is dropped. A line longer than `maxLength` bytes, without its line end, is
 * reported once and skipped, so input without line ends takes at most `maxLength` bytes of memory.
 */
export class LineSplitter {
  readonly #onLine: LineCallback;
  readonly #onTooLong: () => void;
  readonly #onPartial: LineCallback | undefined;
  readonly #maxLength: number;
  /** `#rest[0, #length)` is the beginning of a line whose end is in a later chunk. */
  #rest = new Uint8Array(0);
  #length = 0;
  /** True inside a line that was reported as too long. */
  #skipping = false;

  /** @param onPartial receives a last line without a line end, at {@link end}; by default that line is dropped */
  constructor(onLine: LineCallback, onTooLong: () => void, maxLength = 65536, onPartial?: LineCallback) {
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
    this.#maxLength = maxLength;
    this.#onPartial = onPartial;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, start);
      if (newline < 0) break;
      if (this.#skipping) this.#skipping = false;
      else if (this.#length > 0) this.#finish(chunk, start, newline);
      else this.#line(chunk, start, newline);
      start = newline + 1;
    }
    if (start < chunk.length && !this.#skipping) this.#keep(chunk, start, chunk.length);
  }

  /** Ends the input. The splitter can then be used for another input. */
  end(): void {
    const length = this.#length;
    this.#length = 0;
    this.#skipping = false;
    if (length === 0) return;
    this.#terminate(length);
    this.#onPartial?.(this.#rest, 0, withoutReturn(this.#rest, 0, length));
  }

  /** Completes the line that begins in `#rest` and ends at `chunk[end]`. */
  #finish(chunk: Uint8Array, start: number, end: number): void {
    this.#keep(chunk, start, end);
    const length = this.#length;
    this.#length = 0;
    if (this.#skipping) this.#skipping = false;
    else {
      this.#terminate(length);
      this.#line(this.#rest, 0, length);
    }
  }

  /**
   * Puts a line end behind the line, so that reading one byte too far does not find the rest of an earlier, longer
   * line.
   */
  #terminate(length: number): void {
    if (length >= this.#rest.length) {
      this.#length = length;
      this.#grow(length + 1);
      this.#length = 0;
    }
    this.#rest[length] = NEWLINE;
  }

  #line(bytes: Uint8Array, start: number, end: number): void {
    const textEnd = withoutReturn(bytes, start, end);
    if (textEnd - start > this.#maxLength) this.#onTooLong();
    else this.#onLine(bytes, start, textEnd);
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    // One byte more than the limit, because the last byte may be the '\r' of the line end.
    if (length > this.#maxLength + 1) {
      this.#length = 0;
      this.#skipping = true;
      this.#onTooLong();
      return;
    }
    if (length > this.#rest.length) this.#grow(length);
    this.#rest.set(chunk.subarray(start, end), this.#length);
    this.#length = length;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(FIRST_BUFFER, this.#rest.length * 2, needed));
    grown.set(this.#rest.subarray(0, this.#length));
    this.#rest = grown;
  }
}

function withoutReturn(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
}
