import { latin1 } from '../../trace/names.js';
import { canonicalReason, isX86Label } from '../reasons/hardware.js';
import { SPACE } from '../text/bytes.js';

const EQUALS = 0x3d;
const TAB = 0x09;
/** Words that a terminal may have broken, besides names of exit reasons. */
const LONG_WORD = /^(?:KVM_EXIT_[A-Z0-9_]+|(?:kvm:)?kvm_[a-z0-9_]+:)$/;
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
  /** Length of the part that was added last. */
  #part = 0;
  /** Width of a terminal that breaks lines in the middle of words; 0 until a broken word has shown it. */
  #terminalWidth = 0;

  /** False if the line is too long. `bytes` may be {@link HeldLine.bytes} itself. */
  hold(bytes: Uint8Array, start: number, end: number, name: number, events: number): boolean {
    if (end - start >= MAX_LENGTH) return false;
    if (bytes !== this.bytes) this.#part = end - start;
    this.bytes.set(bytes.subarray(start, end));
    this.length = end - start;
    this.name = name;
    this.events = events;
    return true;
  }

  /**
   * Appends the second part, `bytes[start, end)` of a line that begins at `lineStart`: behind a blank, in the place of
   * the `=` at which quoted-printable mails break lines, or without a blank if a terminal has broken a word.
   * @param mustBreakWord true if the event was not understood with a blank
   * @returns the length of both; 0 if they are too long
   */
  append(bytes: Uint8Array, lineStart: number, start: number, end: number, mustBreakWord = false): number {
    const isQuotedPrintable = this.bytes[this.length - 1] === EQUALS;
    const mayBreakWord = !isQuotedPrintable && start === lineStart;
    const isWordBroken = mayBreakWord && (mustBreakWord || this.#isWordBroken(bytes, start, end));
    const at = isQuotedPrintable ? this.length - 1 : isWordBroken ? this.length : this.length + 1;
    if (at + end - start > MAX_LENGTH) return 0;
    if (at > this.length) this.bytes[this.length] = SPACE;
    this.bytes.set(bytes.subarray(start, end), at);
    this.#part = end - lineStart;
    return at + end - start;
  }

  /** The first word that is known only as a whole shows the width of the terminal. */
  #isWordBroken(bytes: Uint8Array, start: number, end: number): boolean {
    if (isBlank(this.bytes[this.length - 1])) return false;
    if (this.#part === this.#terminalWidth) return true;
    let from = this.length;
    while (from > 0 && !isBlank(this.bytes[from - 1])) from--;
    let to = start;
    while (to < end && !isBlank(bytes[to])) to++;
    const word = latin1(this.bytes, from, this.length) + latin1(bytes, start, to);
    if (!LONG_WORD.test(word) && !isX86Label(canonicalReason(word))) return false;
    this.#terminalWidth = this.#part;
    return true;
  }

  release(): void {
    this.length = 0;
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}
