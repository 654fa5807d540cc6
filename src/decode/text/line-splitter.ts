/**
 * Chunks of bytes -> lines, for every text source.
 *
 * A line that lies wholly inside a chunk is handed out where it is, without a copy; only the piece after the last line end is
 * kept. The bytes given to a callback are valid during the call only: they may be the splitter's own buffer.
 *
 * A line ends with `\n`; one `\r` before it is dropped. A line longer than `maxLength` bytes (without its end) is reported
 * once and skipped up to its end, so input without any line end costs no more than `maxLength` bytes of memory.
 */

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const FIRST_BUFFER = 1024;

/** A line is `bytes[start, end)`. */
export type LineCallback = (bytes: Uint8Array, start: number, end: number) => void;

export class LineSplitter {
  readonly #onLine: LineCallback;
  readonly #onTooLong: () => void;
  readonly #onPartial: LineCallback | undefined;
  readonly #maxLength: number;
  /** The beginning of a line whose end is in a later chunk: `#rest[0, #length)`. */
  #rest = new Uint8Array(0);
  #length = 0;
  /** Inside a line that was already reported as too long. */
  #skipping = false;

  /** @param onPartial gets a last line without a line end, at {@link end}; without it that line is dropped */
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

  /** The input is over. The splitter can be used again for the next input. */
  end(): void {
    const length = this.#length;
    this.#length = 0;
    this.#skipping = false;
    if (length === 0) return;
    this.#terminate(length);
    this.#onPartial?.(this.#rest, 0, withoutReturn(this.#rest, 0, length));
  }

  /** The line begun in `#rest` ends at `chunk[end]`. */
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

  /** Behind each line stands a line end, not what is left of a longer one: who looks one byte too far must not find a part of a line. */
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
    // One more than the limit: the last byte may be the '\r' of the line end.
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
