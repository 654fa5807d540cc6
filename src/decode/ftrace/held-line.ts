import { SPACE } from '../text/bytes.js';

const EQUALS = 0x3d;
/** Longer than a header with an event's text. A longer line was not broken by a mail program. */
const MAX_LENGTH = 4096;

/** The first part of a line that seems to be broken in two, kept until the next line shows whether it is. */
export class HeldLine {
  readonly bytes = new Uint8Array(MAX_LENGTH);
  /** 0 if no line is held. */
  length = 0;
  /** The line's event, if it is complete; -1 if the line ends before it. */
  name = -1;
  /** The number of events when the line was held: a later event stands between it and its second part. */
  events = 0;

  /** False if the line is too long. `bytes` may be {@link HeldLine.bytes} itself. */
  hold(bytes: Uint8Array, start: number, end: number, name: number, events: number): boolean {
    if (end - start >= MAX_LENGTH) return false;
    this.bytes.set(bytes.subarray(start, end));
    this.length = end - start;
    this.name = name;
    this.events = events;
    return true;
  }

  /**
   * Appends the second part: behind a blank, or in the place of the `=` at which quoted-printable mails break lines.
   * Returns the length of both; 0 if they are too long.
   */
  append(bytes: Uint8Array, start: number, end: number): number {
    const isQuotedPrintable = this.bytes[this.length - 1] === EQUALS;
    const at = isQuotedPrintable ? this.length - 1 : this.length + 1;
    if (at + end - start > MAX_LENGTH) return 0;
    if (!isQuotedPrintable) this.bytes[this.length] = SPACE;
    this.bytes.set(bytes.subarray(start, end), at);
    return at + end - start;
  }

  release(): void {
    this.length = 0;
  }
}
