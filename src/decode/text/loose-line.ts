/**
 * Headers of saved text that lack parts of the usual one, or have other parts:
 *
 *   CPU 0/KVM   159    13.100363:           kvm:kvm_exit: vcpu 0 ...     perf script -F without cpu
 *   CPU 0/KVM    13.100363:           kvm:kvm_exit: vcpu 0 ...           without tid
 *      13.100363:           kvm:kvm_exit: vcpu 0 ...                     without comm
 *   [000]    13.100363:           kvm:kvm_exit: vcpu 0 ...               with cpu and time alone
 *   CPU 0/KVM   159 [000]           kvm:kvm_exit: vcpu 0 ...             without time
 *   CPU 0/KVM   159 [000]    13.100363:          1  kvm:kvm_exit: ...    with period
 *   CPU 0/KV-208     1d..1.    14.382464: kvm_entry: vcpu 0              trace-cmd report -l
 *   CPU 0/KVM-208   [001]    14.382464: (+2)     kvm_entry: vcpu 0       trace-cmd report --ts-diff
 *    1)               |  /* kvm_entry: vcpu 0 *\/                         the tracer function_graph
 *   [  100.000001] kvm_entry: vcpu 0                                     tp_printk in the kernel's log
 *   kvm_entry: vcpu 0                                                    the option nocontext-info
 *
 * Source: perf 6.1 (builtin-script.c: perf_sample__fprintf_start), trace-cmd 3.1.6, both run with each of their
 * options; kernel/trace/trace_functions_graph.c. The order of the columns is fixed: comm, tid, cpu, flags, time,
 * period, event.
 */
import { ascii, decimal, hexadecimal, isDigit, SPACE, skipDigits, skipHex, startsWith } from './bytes.js';
import type { FtraceLine } from './ftrace-line.js';

const TAB = 0x09;
const COLON = 0x3a;
const DOT = 0x2e;
const COMMA = 0x2c;
const DASH = 0x2d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;
const PLUS = 0x2b;
const UNDERSCORE = 0x5f;
const KVM_PREFIX = ascii('kvm_');
const RUN_EXIT = ascii('kvm_run_exit');
const MARKER = ascii('tracing_mark_write');
/** Words that stand before the event in any of the forms, prefixes included. */
const MAX_WORDS = 24;
const MAX_NAME = 80;
const COUNT_WIDTH = 7;
/** `"`, `'` and a backtick. */
const QUOTATION_MARKS = [0x22, 0x27, 0x60];
/** Marks by which mails quote. */
const QUOTES = [0x3e, 0x7c];
/** Flags that are letters: interrupts, rescheduling, context. */
const LETTERS = 3;
/** More CPUs than a kernel can have. */
const MAX_CPU_DIGITS = 5;

/**
 * Parses the header of `bytes[start, end)` into `line`. False if there is no event: a name of KVM or QEMU's markers and
 * a colon, or any name and a colon behind a time.
 */
export function parseLoose(line: FtraceLine, bytes: Uint8Array, start: number, end: number): boolean {
  let at = skipBlanks(bytes, start, end);
  for (let words = 0; words < MAX_WORDS && at < end; words++) {
    const wordEnd = skipNonBlanks(bytes, at, end);
    const name = eventNameStart(bytes, at, wordEnd);
    if (name >= 0) {
      clear(line, start);
      line.eventStart = name;
      line.eventEnd = wordEnd - 1;
      line.argsStart = skipBlanks(bytes, wordEnd, end);
      if (parseColumns(line, bytes, start, at)) return true;
      if (isKnownName(bytes, name, wordEnd) && (line.cpu >= 0 || name > at || !isCount(bytes, start, at))) return true;
    }
    at = skipBlanks(bytes, wordEnd, end);
  }
  return false;
}

/** True if `bytes[start, end)` is a header alone, up to the time: mail programs break lines behind it. */
export function isHeaderAlone(line: FtraceLine, bytes: Uint8Array, start: number, end: number): boolean {
  clear(line, start);
  return parseColumns(line, bytes, start, end) && line.tid > 0 && line.cpu >= 0;
}

function clear(line: FtraceLine, start: number): void {
  line.commStart = line.commEnd = start;
  line.hasThread = false;
  line.tid = 0;
  line.tgid = -1;
  line.cpu = -1;
  line.timeNs = Number.NaN;
  line.hasFlags = false;
}

/** True for `   4711 ` before an event, as `uniq -c` prints how often a line occurs. */
function isCount(bytes: Uint8Array, start: number, end: number): boolean {
  let at = end - 1;
  while (at > start && isDigit(bytes[at - 1])) at--;
  if (bytes[end - 1] !== SPACE || at >= end - 1) return false;
  while (at > start && bytes[at - 1] === SPACE) at--;
  return end - 1 - at >= COUNT_WIDTH && (at === start || QUOTES.includes(bytes[at - 1] as number));
}

/** Start of the name in a word like `kvm_exit:` or `kvm:kvm_exit:`, or -1. */
function eventNameStart(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 3 || end - start > MAX_NAME || bytes[end - 1] !== COLON) return -1;
  let word = start;
  let name = start;
  let isName = true;
  for (let i = start; i < end - 1; i++) {
    const byte = bytes[i] as number;
    if (isNameByte(byte) && (i > name || !isDigit(byte))) continue;
    if (byte === COLON && name === word && i > word) name = i + 1;
    else {
      isName = QUOTATION_MARKS.includes(byte);
      if (isName) word = name = i + 1;
    }
  }
  return isName && name < end - 1 ? name : -1;
}

/** True for names of KVM's events and of markers. QEMU's own event kvm_run_exit is none of them. */
function isKnownName(bytes: Uint8Array, start: number, end: number): boolean {
  if (startsWith(bytes, start, end, RUN_EXIT)) return false;
  return startsWith(bytes, start, end, KVM_PREFIX) || startsWith(bytes, start, end, MARKER);
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || isDigit(byte) || byte === UNDERSCORE;
}

/** Parses the columns before the event, from the last to the first. True if one of them is a time. */
function parseColumns(line: FtraceLine, bytes: Uint8Array, start: number, end: number): boolean {
  let to = skipBlanksBack(bytes, start, end);
  let from = lastWordStart(bytes, start, to);
  if (isPeriod(bytes, from, to) || isTimeDifference(bytes, from, to)) {
    to = skipBlanksBack(bytes, start, from);
    from = lastWordStart(bytes, start, to);
  }
  const hasTime = parseTime(line, bytes, from, to);
  if (hasTime) {
    to = skipBlanksBack(bytes, start, from);
    from = lastWordStart(bytes, start, to);
  }
  if (parseCpu(line, bytes, from, to)) {
    to = skipBlanksBack(bytes, start, from);
  } else if (isFlags(bytes, from, to)) {
    const before = skipBlanksBack(bytes, start, from);
    const word = lastWordStart(bytes, start, before);
    if (parseCpu(line, bytes, word, before)) to = skipBlanksBack(bytes, start, word);
  }
  if (to > start) parseThread(line, bytes, start, to, hasTime);
  return hasTime;
}

/** `13.100363:`, in nanoseconds `13.100363123:`, or `14382464:` if the clock does not count time. */
function parseTime(line: FtraceLine, bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < 2 || bytes[to - 1] !== COLON) return false;
  const point = skipDigits(bytes, from, to);
  if (point === from) return false;
  if (point === to - 1) return true;
  const fractionEnd = skipDigits(bytes, point + 1, to);
  if ((bytes[point] !== DOT && bytes[point] !== COMMA) || fractionEnd !== to - 1 || fractionEnd === point + 1)
    return false;
  const fraction = decimal(bytes, point + 1, fractionEnd) * 10 ** (9 - (fractionEnd - point - 1));
  line.timeNs = decimal(bytes, from, point) * 1e9 + fraction;
  return true;
}

/** `[001]`; trace-cmd report -l: `1d..1.`, or `1-0x1` with -R. */
function parseCpu(line: FtraceLine, bytes: Uint8Array, from: number, to: number): boolean {
  const inBrackets = bytes[from] === OPEN_BRACKET && bytes[to - 1] === CLOSE_BRACKET;
  const first = inBrackets ? from + 1 : from;
  const digits = skipDigits(bytes, first, to);
  if (digits === first || digits - first > MAX_CPU_DIGITS) return false;
  if (inBrackets ? digits !== to - 1 : !isFlags(bytes, digits, to) && !isRawFlags(bytes, digits, to)) return false;
  line.cpu = decimal(bytes, first, digits);
  return true;
}

/** `d..1.`, `.....`, `d...2..`: three letters or dots, then depths. perf's column misc: `K`, `U`. */
function isFlags(bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (length === 1) return bytes[from] === 0x4b || bytes[from] === 0x55;
  if (length < 4 || length > 7) return false;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    const isFlag = byte === DOT || (isNameByte(byte) && byte !== UNDERSCORE);
    if (!isFlag || (i < from + LETTERS && isDigit(byte))) return false;
  }
  return true;
}

/** `-0x1`: the flags as a number. */
function isRawFlags(bytes: Uint8Array, from: number, to: number): boolean {
  return bytes[from] === DASH && hexadecimal(bytes, from + 1, to) >= 0 && skipHex(bytes, from + 3, to) === to;
}

function isPeriod(bytes: Uint8Array, from: number, to: number): boolean {
  return from < to && skipDigits(bytes, from, to) === to && hasTimeBefore(bytes, from);
}

/** `(+18)` */
function isTimeDifference(bytes: Uint8Array, from: number, to: number): boolean {
  return bytes[from] === OPEN_PAREN && bytes[from + 1] === PLUS && bytes[to - 1] === CLOSE_PAREN;
}

/** True if the column before `at` ends in a colon: without a time, a number is a thread. */
function hasTimeBefore(bytes: Uint8Array, at: number): boolean {
  let i = at;
  while (i > 0 && isBlank(bytes[i - 1])) i--;
  return bytes[i - 1] === COLON;
}

/** The thread, or its name alone. */
function parseThread(line: FtraceLine, bytes: Uint8Array, start: number, to: number, hasTime: boolean): void {
  line.hasThread = (line.cpu >= 0 || hasTime || isDigit(bytes[to - 1])) && line.parseThread(bytes, start, to);
  if (line.hasThread) return;
  line.tid = 0;
  line.tgid = -1;
  line.commStart = skipBlanks(bytes, start, to);
  line.commEnd = to;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && isBlank(bytes[i])) i++;
  return i;
}

function skipNonBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && !isBlank(bytes[i])) i++;
  return i;
}

function skipBlanksBack(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && isBlank(bytes[i - 1])) i--;
  return i;
}

function lastWordStart(bytes: Uint8Array, start: number, end: number): number {
  let i = end;
  while (i > start && !isBlank(bytes[i - 1])) i--;
  return i;
}
