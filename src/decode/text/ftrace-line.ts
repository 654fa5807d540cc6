/**
 * The header of an ftrace text line: everything before the event's own text.
 *
 *            CPU 0/KVM-7550    (   7544) [000] d..1.  2575.766799: kvm_exit: vcpu 0 reason io rip 0x...
 *            `- comm  `- tid       `- tgid `- cpu `- flags `- time  `- event `- arguments
 *
 * Source: kernel/trace/trace_output.c (trace_print_context, trace_print_lat_context), Linux 3.x to 6.18; the printers
 * of perf and trace-cmd. These variants occur, and all are read:
 *
 * - Without record-tgid there is no `(tgid)`; an unknown one is `(-------)`. A tid is padded to 5 or 7 characters.
 * - With noirq-info, and from perf script, there are no flags.
 * - Clocks that do not count time print `    41909290832: ` without a dot. The time is NaN then.
 * - perf script: `CPU 0/KVM   230 [001]    26.944746: kvm:kvm_entry: vcpu 0`, or `comm pid/tid [cpu]`.
 * - trace-cmd report pads event names and prints markers as `print: tracing_mark_write: text`.
 * - latency-format: `CPU 0/KV-174       0d..1. 13167478us!: kvm_entry: vcpu 0`, comm cut to 8 characters.
 * - latency-format and verbose: `comm pid cpu flags preempt idx [usecs] 12.345ms (+0.001ms): event: text`. The number
 *   in brackets is hexadecimal.
 *
 * Headers that lack some of these parts are in loose-line.ts. Not used: flags, delay marks.
 */
import {
  ascii,
  decimal,
  hexadecimal,
  indexOf,
  indexOfByte,
  isDigit,
  SPACE,
  skipDigits,
  skipHex,
  skipSpaces,
  skipWord,
} from './bytes.js';

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;
const DASH = 0x2d;
const SLASH = 0x2f;
const DOT = 0x2e;
/** Other programs print numbers as their locale has them. */
const COMMA = 0x2c;
const COLON = 0x3a;
const COLON_SPACE = ascii(': ');
/** Length of `us` and the delay mark. */
const US_LENGTH = 3;
const MS = ascii('ms (+');
/** More than the length of `(  12345)`. The limit keeps a line that consists of brackets cheap. */
const MAX_TGID_LENGTH = 24;
/** A prefix before the header can hold numbers in brackets too. The limit keeps a line that consists of them cheap. */
const MAX_BRACKETS = 8;
/** The kernel cuts names of threads to this length. */
const MAX_COMM_LENGTH = 15;
/** Last characters of what other programs put before a line: `> `, `host app[812]: `, `web-1  | `, `2 3 [x] `. */
const PREFIX_ENDS = [0x3e, 0x3a, 0x7c, 0x5d];
/** `"`, `'` and a backtick. */
const QUOTATION_MARKS = [0x22, 0x27, 0x60];
/** `-`, `*` and `+` before an item of a list, `.` and `)` behind its number. */
const LIST_MARKS = [0x2d, 0x2a, 0x2b];
const NUMBER_ENDS = [0x2e, 0x29];
const TAB = 0x09;

/** The parsed header of one line. One object is reused for all lines; positions refer to the last parsed bytes. */
export class FtraceLine {
  commStart = 0;
  commEnd = 0;
  /** True if the line names the thread. Set by parseLoose alone: other headers always name it. */
  hasThread = true;
  /** 0 if the line does not name the thread; also for the idle task. */
  tid = 0;
  /** -1 if the line does not name the thread group. */
  tgid = -1;
  /** -1 if the line does not name the CPU. */
  cpu = -1;
  /** Nanoseconds on the trace clock; NaN if the line has no time or its clock does not count time. */
  timeNs = Number.NaN;
  /** True if there is a column of flags: the kernel's own text has it, unless it was switched off. */
  hasFlags = false;
  eventStart = 0;
  eventEnd = 0;
  argsStart = 0;

  /** Parses the line in `bytes[start, end)`. False if it has no known header; the fields are meaningless then. */
  parse(bytes: Uint8Array, start: number, end: number): boolean {
    let at = indexOfByte(bytes, start, end, OPEN_BRACKET);
    for (let brackets = 0; at >= 0 && brackets < MAX_BRACKETS; brackets++) {
      const close = skipDigits(bytes, at + 1, end);
      if (close > at + 1 && bytes[close] === CLOSE_BRACKET && bytes[close + 1] === SPACE) {
        if (this.parseThread(bytes, start, at) && this.#parseTime(bytes, close + 1, end)) {
          this.cpu = decimal(bytes, at + 1, close);
          return true;
        }
      }
      at = indexOfByte(bytes, at + 1, end, OPEN_BRACKET);
    }
    return this.#parseLatency(bytes, start, end);
  }

  /**
   * Parses `comm-tid (tgid) `, or perf's `comm tid ` or `comm pid/tid `, backwards from `end`, as a comm can hold any
   * character.
   */
  parseThread(bytes: Uint8Array, start: number, end: number): boolean {
    let i = skipSpacesBack(bytes, start, end);
    this.tgid = -1;
    if (bytes[i - 1] === CLOSE_PAREN) {
      const open = lastOpenParen(bytes, Math.max(start, i - MAX_TGID_LENGTH), i - 1);
      if (open < 0) return false;
      this.tgid = decimal(bytes, skipSpaces(bytes, open + 1, i), i);
      i = skipSpacesBack(bytes, start, open);
    }
    const tidStart = skipDigitsBack(bytes, start, i);
    if (tidStart === i) return false;
    this.tid = decimal(bytes, tidStart, i);
    const before = bytes[tidStart - 1];
    if (before === SLASH && isDigit(bytes[tidStart - 2])) {
      const pidStart = skipDigitsBack(bytes, start, tidStart - 1);
      this.tgid = decimal(bytes, pidStart, tidStart - 1);
      i = pidStart;
    } else if (before === DASH) {
      i = tidStart - 1;
    } else if (before === SPACE) {
      i = tidStart;
    } else {
      return false;
    }
    this.commStart = skipSpaces(bytes, start, i);
    this.commEnd = skipSpacesBack(bytes, this.commStart, i);
    return true;
  }

  /** ` flags  sec.usec: event: args`. The flags may be missing, and the time may be a plain count. */
  #parseTime(bytes: Uint8Array, start: number, end: number): boolean {
    let i = skipSpaces(bytes, start, end);
    const word = skipWord(bytes, i, end);
    this.hasFlags = bytes[word - 1] !== COLON || !isDigit(bytes[i]);
    if (this.hasFlags) i = skipSpaces(bytes, word, end);
    const point = skipDigits(bytes, i, end);
    if (point === i) return false;
    if (bytes[point] === DOT || bytes[point] === COMMA) {
      const colon = skipDigits(bytes, point + 1, end);
      if (bytes[colon] !== COLON || colon === point + 1) return false;
      const fraction = decimal(bytes, point + 1, colon) * 10 ** (9 - (colon - point - 1));
      this.timeNs = decimal(bytes, i, point) * 1e9 + fraction;
      return this.parseEvent(bytes, colon + 1, end);
    }
    if (bytes[point] !== COLON) return false;
    this.timeNs = Number.NaN;
    return this.parseEvent(bytes, point + 1, end);
  }

  /** Parses ` event: args`, or perf's ` system:event: args`. */
  parseEvent(bytes: Uint8Array, start: number, end: number): boolean {
    const from = skipSpaces(bytes, start, end);
    const word = skipWord(bytes, from, end);
    const last = word - 1;
    if (last <= from || bytes[last] !== COLON) return false;
    // A loop: the built-in lastIndexOf takes longer to call than a name to search, and it has no start.
    let name = last;
    while (name > from && bytes[name - 1] !== COLON) name--;
    this.eventStart = name;
    this.eventEnd = last;
    this.argsStart = skipSpaces(bytes, word, end);
    return this.eventStart < last;
  }

  /** `comm-tid cpuflags 13167478us!: event: args` (latency-format), or the verbose form of it. */
  #parseLatency(bytes: Uint8Array, start: number, end: number): boolean {
    const colon = indexOf(bytes, start, end, COLON_SPACE);
    if (colon < 0) return false;
    const us = colon - US_LENGTH;
    const timeStart = skipDigitsBack(bytes, start, us);
    if (us <= timeStart || bytes[us] !== 0x75 || bytes[us + 1] !== 0x73) return this.#parseVerbose(bytes, start, end);
    const cpuFlags = lastWord(bytes, start, timeStart);
    const cpuEnd = skipDigits(bytes, cpuFlags, timeStart);
    if (cpuEnd === cpuFlags || !this.parseThread(bytes, start, cpuFlags)) return false;
    this.cpu = decimal(bytes, cpuFlags, cpuEnd);
    this.timeNs = decimal(bytes, timeStart, us) * 1000;
    return this.parseEvent(bytes, colon + 1, end);
  }

  /** `comm tid cpu flags preempt index [usecs] 12.345ms (+0.001ms): event: args`. */
  #parseVerbose(bytes: Uint8Array, start: number, end: number): boolean {
    const ms = indexOf(bytes, start, end, MS);
    const open = indexOfByte(bytes, start, end, OPEN_BRACKET);
    const colon = indexOf(bytes, Math.max(ms, start), end, COLON_SPACE);
    if (ms < 0 || open < 0 || open > ms || colon < 0) return false;
    if (bytes[skipHex(bytes, open + 1, end)] !== CLOSE_BRACKET) return false;
    const index = lastWord(bytes, start, open);
    const preempt = lastWord(bytes, start, index);
    const flags = lastWord(bytes, start, preempt);
    const cpu = lastWord(bytes, start, flags);
    if (!isDigit(bytes[cpu]) || !this.parseThread(bytes, start, cpu)) return false;
    this.cpu = decimal(bytes, cpu, flags);
    this.timeNs = hexadecimal(bytes, open + 1, end) * 1000;
    return this.parseEvent(bytes, colon + 1, end);
  }
}

/**
 * Start of the thread's name in `bytes[start, end)`, which other programs may have put a prefix before. Its padding,
 * its length and the last character of the prefix show where it is.
 */
export function commStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === PREFIX_ENDS[0])) at++;
  at = skipListMark(bytes, at, end);
  if (end - at <= MAX_COMM_LENGTH) return at;
  const shortest = end - MAX_COMM_LENGTH;
  for (let i = end - 1; i > at; i--) {
    const before = bytes[i - 1] as number;
    if (bytes[i] === TAB) return i + 1;
    if (bytes[i] === SPACE && (before === SPACE || PREFIX_ENDS.includes(before))) return i + 1;
    if (i < shortest) break;
  }
  return shortest;
}

/** Skips `- `, `* `, `12. ` or a quotation mark, as posts put before each line. */
function skipListMark(bytes: Uint8Array, start: number, end: number): number {
  if (QUOTATION_MARKS.includes(bytes[start] as number)) return start + 1;
  const digits = skipDigits(bytes, start, end);
  const mark = bytes[digits] as number;
  const isMark = digits > start ? NUMBER_ENDS.includes(mark) : LIST_MARKS.includes(mark);
  return isMark && bytes[digits + 1] === SPACE ? skipSpaces(bytes, digits + 1, end) : start;
}

/** Start of the last word in `bytes[start, end)`, not counting trailing blanks. */
function lastWord(bytes: Uint8Array, start: number, end: number): number {
  let i = skipSpacesBack(bytes, start, end);
  while (i > start && bytes[i - 1] !== SPACE) i--;
  return i;
}

/** Position of the last `(` in `bytes[start, end)`, or -1. */
function lastOpenParen(bytes: Uint8Array, start: number, end: number): number {
  let i = end - 1;
  while (i >= start && bytes[i] !== OPEN_PAREN) i--;
  return i < start ? -1 : i;
}

function skipSpacesBack(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && bytes[i - 1] === SPACE) i--;
  return i;
}

function skipDigitsBack(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && isDigit(bytes[i - 1])) i--;
  return i;
}
