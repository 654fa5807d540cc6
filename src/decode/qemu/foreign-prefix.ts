/**
 * QEMU's lines behind what other programs put before them: mails, loggers, containers, CI systems, `cat -n`, `grep -H`.
 *
 *   >> 7022@1567775824.012200:kvm_run_exit cpu_index 1, reason 2
 *   Nov 25 19:00:01 host1 qemu-system-x86_64[15268]: kvm_run_exit cpu_index 0, reason 2
 *   2026-11-25T19:00:01.123456789+01:00 stderr F 15268@1647341556.924605:kvm_run_exit cpu_index 0, reason 2
 *   vm1.log:12:kvm_run_exit cpu_index 0, reason 2
 *   [120139718 137.127269] kvm_run_exit: cpu_index 0, reason 2                    QEMU's flight recorder
 *
 * A line with `tid@time:` is one of QEMU, wherever that stands. kvm_run_exit with its arguments is so unlike any prose
 * that it shows where the prefix ends; other events are then looked for behind a prefix of the same shape: as many
 * words, the last of which ends in the same character.
 */
import { ascii, indexOf, indexOfByte, isDigit, SPACE, skipDigits, startsWith } from '../text/bytes.js';
import { isNameByte, RUN_EXIT } from './event-text.js';

const AT = 0x40;
const DOT = 0x2e;
const COLON = 0x3a;
const TAB = 0x09;
const CPU_INDEX = ascii(' cpu_index ');
/** Limits the time for a line that consists of such characters. */
const MAX_MARKS = 8;
/** `gettimeofday_ns()` has 19 digits. */
const NANOSECOND_DIGITS = 19;

export class ForeignPrefix {
  /** Position of kvm_run_exit's first argument in the line that was searched last; -1 if it was not found. */
  runExitArgument = -1;
  /** The number of whole words before the event; -1 until a line has shown the prefix. */
  #words = -1;
  /** The last character of the last whole word; 0 if there is none. */
  #lastCharacter = 0;
  /** The part of a word before the event, if no blank stands there: how often its last character occurs in it. */
  #partCount = 0;
  #partCharacter = 0;

  /** Position of QEMU's own line in `bytes[start, end)`; -1 if there is none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    this.runExitArgument = -1;
    const thread = threadPrefixStart(bytes, start, end);
    if (thread >= 0) return thread;
    const runExit = this.#findRunExit(bytes, start, end);
    if (runExit >= 0) {
      this.#learn(bytes, start, runExit);
      return runExit;
    }
    return this.#words < 0 ? -1 : this.#skip(bytes, start, end);
  }

  #findRunExit(bytes: Uint8Array, start: number, end: number): number {
    let at = indexOf(bytes, start, end, RUN_EXIT);
    for (let marks = 0; at >= 0 && marks < MAX_MARKS; marks++) {
      const nameEnd = at + RUN_EXIT.length;
      const textStart = bytes[nameEnd] === COLON ? nameEnd + 1 : nameEnd;
      if ((at === start || !isNameByte(bytes[at - 1] as number)) && startsWith(bytes, textStart, end, CPU_INDEX)) {
        this.runExitArgument = textStart + CPU_INDEX.length;
        return at;
      }
      at = indexOf(bytes, nameEnd, end, RUN_EXIT);
    }
    return -1;
  }

  #learn(bytes: Uint8Array, start: number, end: number): void {
    let at = skipBlanks(bytes, start, end);
    this.#words = 0;
    this.#lastCharacter = 0;
    this.#partCount = 0;
    while (at < end) {
      const wordEnd = skipNonBlanks(bytes, at, end);
      if (wordEnd === end) {
        this.#partCharacter = bytes[end - 1] as number;
        for (let i = at; i < end; i++) if (bytes[i] === this.#partCharacter) this.#partCount++;
        return;
      }
      this.#words++;
      this.#lastCharacter = bytes[wordEnd - 1] as number;
      at = skipBlanks(bytes, wordEnd, end);
    }
  }

  /** Position behind a prefix of the known shape; -1 if the line has another. */
  #skip(bytes: Uint8Array, start: number, end: number): number {
    let at = skipBlanks(bytes, start, end);
    let last = 0;
    for (let word = 0; word < this.#words && at < end; word++) {
      const wordEnd = skipNonBlanks(bytes, at, end);
      last = bytes[wordEnd - 1] as number;
      at = skipBlanks(bytes, wordEnd, end);
    }
    if (at >= end || last !== this.#lastCharacter) return -1;
    for (let count = 0; count < this.#partCount; count++) {
      at = indexOfByte(bytes, at, end, this.#partCharacter) + 1;
      if (at === 0) return -1;
    }
    return at;
  }
}

/** Start of `tid@sec.usec:` or, from SystemTap, `pid@nanoseconds `, anywhere in the line; -1 if there is none. */
function threadPrefixStart(bytes: Uint8Array, start: number, end: number): number {
  let at = indexOfByte(bytes, start, end, AT);
  for (let marks = 0; at >= 0 && marks < MAX_MARKS; marks++) {
    let from = at;
    while (from > start && isDigit(bytes[from - 1])) from--;
    const isWhole = from < at && (from === start || !isNameByte(bytes[from - 1] as number));
    if (isWhole && isTime(bytes, at + 1, end)) return from;
    at = indexOfByte(bytes, at + 1, end, AT);
  }
  return -1;
}

function isTime(bytes: Uint8Array, start: number, end: number): boolean {
  const point = skipDigits(bytes, start, end);
  if (point < end && bytes[point] === SPACE) return point - start === NANOSECOND_DIGITS;
  const fractionEnd = skipDigits(bytes, point + 1, end);
  const hasFraction = point > start && bytes[point] === DOT && fractionEnd > point + 1;
  return hasFraction && fractionEnd < end && bytes[fractionEnd] === COLON;
}

function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
  return i;
}

function skipNonBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && bytes[i] !== SPACE && bytes[i] !== TAB) i++;
  return i;
}
