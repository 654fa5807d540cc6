import { NEWLINE } from './bytes.js';

const CARRIAGE_RETURN = 0x0d;
const FIRST_BUFFER = 1024;

/** Receives the line `bytes[start, end)`. The bytes are valid during the call only. */
export type LineCallback = (bytes: Uint8Array, start: number, end: number) => void;

/** Returns where the line `bytes[start, end)`, which is too long and goes on, can be cut; -1 if nowhere. */
export type FindBreak = (bytes: Uint8Array, start: number, end: number) => number;

/**
 * Splits chunks of bytes into lines.
 *
 * A line inside one chunk is passed on in place, without a copy. Only the piece behind the last line end is kept, until
 * the next chunk completes it.
 *
 * A line ends with `\n`; one `\r` before it is dropped. A line longer than `maxLength` bytes, without its line end, is
 * reported once and skipped, unless it can be cut. Input without line ends takes at most `maxLength` bytes of memory.
 */
export class LineSplitter {
  readonly #onLine: LineCallback;
  readonly #onTooLong: () => void;
  readonly #onPartial: LineCallback | undefined;
  readonly #maxLength: number;
  readonly #findBreak: FindBreak | undefined;
  /** `#rest[0, #length)` is the beginning of a line whose end is in a later chunk. */
  #rest = new Uint8Array(0);
  #length = 0;
  /** True inside a line that was reported as too long. */
  #skipping = false;

  /**
   * @param onPartial receives a last line without a line end, at {@link end}; by default that line is dropped
   * @param findBreak by default lines that are too long are not cut
   */
  constructor(
    onLine: LineCallback,
    onTooLong: () => void,
    maxLength = 65536,
    onPartial?: LineCallback,
    findBreak?: FindBreak,
  ) {
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
    this.#maxLength = maxLength;
    this.#onPartial = onPartial;
    this.#findBreak = findBreak;
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
    let from = start;
    while (textEnd - from > this.#maxLength) {
      const at = this.#break(bytes, from, from + this.#maxLength);
      if (at < 0) return this.#onTooLong();
      from = at;
    }
    this.#onLine(bytes, from, textEnd);
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    // One byte more than the limit, because the last byte may be the '\r' of the line end.
    const limit = this.#maxLength + 1;
    let from = start;
    while (this.#length + end - from > limit) {
      from = this.#append(chunk, from, from + limit - this.#length);
      const at = this.#break(this.#rest, 0, this.#maxLength);
      if (at < 0) {
        this.#length = 0;
        this.#skipping = true;
        this.#onTooLong();
        return;
      }
      this.#rest.copyWithin(0, at, limit);
      this.#length -= at;
    }
    this.#append(chunk, from, end);
  }

  #append(chunk: Uint8Array, start: number, end: number): number {
    const length = this.#length + end - start;
    if (length > this.#rest.length) this.#grow(length);
    this.#rest.set(chunk.subarray(start, end), this.#length);
    this.#length = length;
    return end;
  }

  /** Passes on as much of a line that is too long as it can be cut behind. Returns where its rest begins, or -1. */
  #break(bytes: Uint8Array, start: number, end: number): number {
    const at = this.#findBreak?.(bytes, start, end) ?? -1;
    if (at <= start) return -1;
    this.#onLine(bytes, start, at);
    return at;
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
