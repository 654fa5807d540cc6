/**
 * The prefix before the event in a line of QEMU's log.
 *
 *   11225@1795395358.699146:kvm_run_exit ...                  up to QEMU 10.0: thread id, wall clock; since 6.0
 *                                                             only with -msg timestamp=on (backend/log.py, 7.2)
 *   kvm_run_exit ...                                          no prefix
 *   2026-11-23T00:55:58.699146Z kvm_run_exit ...              later, for every message (util/log.c); no thread id
 *   2026-11-23T00:55:58.699146Z (11225) kvm_run_exit ...      proposed on the list in 2025
 *   11225@1795395358699146000 kvm_run_exit ...                SystemTap: process id, nanoseconds (format/log_stap.py)
 *
 * Source: scripts/tracetool/backend/log.py, util/log.c. The thread id is the one inside QEMU's pid namespace. Times are
 * UTC.
 */
import { isDigit, SPACE, skipDigits, startsWith } from '../text/bytes.js';

export const NO_PREFIX = 0;
/** The prefix with a thread id, which only trace events have. */
export const THREAD_PREFIX = 1;
/** The prefix with a date, which other messages have too. */
export const DATE_PREFIX = 2;

const AT = 0x40;
const DOT = 0x2e;
const COLON = 0x3a;
const DASH = 0x2d;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const OPEN = 0x28;
const CLOSE = 0x29;

/** gettimeofday_ns() of SystemTap. */
const NANOSECOND_DIGITS = 19;
const MINUTE_LENGTH = '2026-11-23T00:55:'.length;
const DATE_LENGTH = MINUTE_LENGTH + 2;
/** The bytes between the numbers of a date, and their positions. */
const DATE_MARKS: readonly (readonly [at: number, byte: number])[] = [
  [4, DASH],
  [7, DASH],
  [10, LETTER_T],
  [13, COLON],
  [16, COLON],
];

/** Scans line after line into its own fields, so that a line costs no allocation. */
export class QemuLogPrefix {
  kind: typeof NO_PREFIX | typeof THREAD_PREFIX | typeof DATE_PREFIX = NO_PREFIX;
  /** Nanoseconds since 1970; NaN without a prefix. */
  timeNs = Number.NaN;
  /** 0 if the prefix has none. */
  tid = 0;
  /** Position of the message behind the prefix. */
  textStart = 0;
  /** Text of the latest date up to its minute. Most lines are of the same minute as the line before. */
  readonly #minute = new Uint8Array(MINUTE_LENGTH);
  /** Seconds since 1970 at the start of that minute. */
  #minuteSeconds = Number.NaN;

  scan(bytes: Uint8Array, start: number, end: number): void {
    if (isDigit(bytes[start]) && (this.#scanThread(bytes, start, end) || this.#scanDate(bytes, start, end))) return;
    this.#set(NO_PREFIX, Number.NaN, 0, start);
  }

  #set(kind: typeof this.kind, timeNs: number, tid: number, textStart: number): void {
    this.kind = kind;
    this.timeNs = timeNs;
    this.tid = tid;
    this.textStart = textStart;
  }

  /**
   * `<tid>@<seconds>.<microseconds>:` or `<pid>@<nanoseconds> `. Each digit is read once, because this runs for every
   * line.
   */
  #scanThread(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    let tid = 0;
    for (; at < end && isDigit(bytes[at]); at++) tid = tid * 10 + ((bytes[at] as number) - 0x30);
    if (at >= end || bytes[at] !== AT) return false;
    const secondsStart = ++at;
    let seconds = 0;
    for (; at < end && isDigit(bytes[at]); at++) seconds = seconds * 10 + ((bytes[at] as number) - 0x30);
    if (at - secondsStart === NANOSECOND_DIGITS && at < end && bytes[at] === SPACE) {
      this.#set(THREAD_PREFIX, seconds, tid, at + 1);
      return true;
    }
    if (at === secondsStart || at >= end || bytes[at] !== DOT) return false;
    const fractionStart = ++at;
    let fraction = 0;
    for (; at < end && isDigit(bytes[at]); at++) fraction = fraction * 10 + ((bytes[at] as number) - 0x30);
    if (at >= end || bytes[at] !== COLON) return false;
    this.#set(THREAD_PREFIX, seconds * 1e9 + fraction * scale(at - fractionStart), tid, at + 1);
    return true;
  }

  /** `YYYY-MM-DDTHH:MM:SS[.fraction]Z `, optionally followed by `(<tid>) `. */
  #scanDate(bytes: Uint8Array, start: number, end: number): boolean {
    const seconds = this.#dateSeconds(bytes, start, end);
    if (Number.isNaN(seconds)) return false;
    let at = start + DATE_LENGTH;
    let fraction = 0;
    if (bytes[at] === DOT) {
      const fractionStart = at + 1;
      at = skipDigits(bytes, fractionStart, end);
      fraction = nanoseconds(bytes, fractionStart, at);
    }
    if (at + 1 >= end || bytes[at] !== LETTER_Z || bytes[at + 1] !== SPACE) return false;
    this.#set(DATE_PREFIX, seconds * 1e9 + fraction, 0, at + 2);
    this.#scanTid(bytes, at + 2, end);
    return true;
  }

  /** Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`; NaN if the text is not of this form. */
  #dateSeconds(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < DATE_LENGTH) return Number.NaN;
    if (!startsWith(bytes, start, end, this.#minute)) {
      this.#minuteSeconds = minuteSeconds(bytes, start);
      this.#minute.set(bytes.subarray(start, start + MINUTE_LENGTH));
    }
    return this.#minuteSeconds + number(bytes, start + MINUTE_LENGTH, start + DATE_LENGTH);
  }

  #scanTid(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== OPEN) return;
    const close = skipDigits(bytes, start + 1, end);
    if (close === start + 1 || close + 1 >= end || bytes[close] !== CLOSE || bytes[close + 1] !== SPACE) return;
    this.tid = number(bytes, start + 1, close);
    this.textStart = close + 2;
  }
}

/** Seconds since 1970 of `YYYY-MM-DDTHH:MM:`; NaN if the text is not of this form. */
function minuteSeconds(bytes: Uint8Array, start: number): number {
  for (const [at, byte] of DATE_MARKS) if (bytes[start + at] !== byte) return Number.NaN;
  const time = number(bytes, start + 11, start + 13) * 3600 + number(bytes, start + 14, start + 16) * 60;
  const year = number(bytes, start, start + 4);
  const month = number(bytes, start + 5, start + 7);
  if (!(month >= 1 && month <= 12)) return Number.NaN;
  return daysSince1970(year, month, number(bytes, start + 8, start + 10)) * 86400 + time;
}

/** Counts years from March on, so that the leap day is the last day of a year. */
function daysSince1970(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const monthsSinceMarch = (month + 9) % 12;
  const dayOfYear = Math.floor((153 * monthsSinceMarch + 2) / 5) + day - 1;
  return 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719468;
}

/** The number in `bytes[start, end)`; NaN if a byte is not a digit. */
function number(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    if (!isDigit(bytes[i])) return Number.NaN;
    value = value * 10 + ((bytes[i] as number) - 0x30);
  }
  return value;
}

/** Nanoseconds that the last of `digits` digits behind a decimal point counts. QEMU prints six digits. */
function scale(digits: number): number {
  return digits === 6 ? 1000 : 10 ** (9 - digits);
}

/** Digits behind a decimal point as nanoseconds. Digits after the ninth are ignored. */
function nanoseconds(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < start + 9; i++) value = value * 10 + (i < end ? (bytes[i] as number) - 0x30 : 0);
  return value;
}
