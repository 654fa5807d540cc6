/**
 * Decodes what QEMU's scripts/simpletrace.py prints of a simple trace: one event per line.
 *
 *   kvm_run_exit 12.345 pid=4242 cpu_index=0x0 reason=0x2
 *   virtio_queue_notify 0.118 pid=4242 vdev=0x5555dcf8d400 n=0x0 vq=0x7f08cffd9010
 *   kvm_irqchip_add_msi_route 3.070 pid=4242 dev=b'virtio-blk-pci' vector=0x1 virq=0x18
 *   Dropped_Event 0.250 pid=4242 num_events_dropped=0x5
 *
 * The number behind the name is the time since the event before, in microseconds. Before QEMU 1.6 there is no pid. The
 * arguments are put into a record as a simple trace has it, so that event-details.ts decodes them.
 */
import { latin1 } from '../../trace/names.js';
import type { QemuSink, Vocabulary } from '../../trace/sink.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { userspaceReasonLabel } from '../reasons/userspace.js';
import {
  ascii,
  decimal,
  hexadecimal,
  indexOf,
  isDigit,
  SPACE,
  skipDigits,
  skipWord,
  startsWith,
} from '../text/bytes.js';
import { LineSplitter } from '../text/line-splitter.js';
import { lastBreak, simpletraceHeads, splitEvents } from '../text/several-events.js';
import { emitSimpleDetail } from './event-details.js';
import { isNameByte, isRunExit } from './event-text.js';

const DOT = 0x2e;
const MINUS = 0x2d;
const EQUALS = 0x3d;
const ZERO = 0x30;
const LETTER_X = 0x78;
const PID = ascii('pid=');
const DROPPED = ascii('Dropped_Event');
const FRACTION_DIGITS = 3;
const MAX_ARGUMENTS_BYTES = 4096;
const WORD = 8;

export class SimpletraceTextDecoder {
  /** Lines that are events. */
  events = 0;
  readonly #vocabulary: Vocabulary;
  readonly #sink: QemuSink;
  readonly #reasons: ReasonInterner;
  readonly #lines: LineSplitter;
  readonly #bytes = new Uint8Array(MAX_ARGUMENTS_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #timeNs = 0;
  /** Length of the record of the present line's arguments, and the first two of them. */
  #length = 0;
  #first = -1;
  #second = -1;

  constructor(vocabulary: Vocabulary, sink: QemuSink) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#reasons = new ReasonInterner(vocabulary.reasons, userspaceReasonLabel);
    const onLine = (bytes: Uint8Array, start: number, end: number) => this.#line(bytes, start, end);
    this.#lines = new LineSplitter(onLine, () => sink.malformed('line-too-long'), undefined, onLine, lastBreak);
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  #line(bytes: Uint8Array, start: number, end: number): void {
    const first = indexOf(bytes, start, end, PID);
    const holdsSeveral = first >= 0 && indexOf(bytes, first + PID.length, end, PID) >= 0;
    if (
      holdsSeveral &&
      splitEvents(bytes, start, end, simpletraceHeads, (piece, from, to) => this.#event(piece, from, to))
    )
      return;
    this.#event(bytes, start, end);
  }

  #event(bytes: Uint8Array, start: number, end: number): void {
    const pidStart = indexOf(bytes, start, end, PID);
    // Other programs may have put a prefix before the name.
    const word = pidStart < 0 ? start : wordBefore(bytes, start, wordBefore(bytes, start, pidStart));
    const nameEnd = skipWord(bytes, word, end);
    let name = nameEnd;
    while (name > word && isNameByte(bytes[name - 1] as number)) name--;
    const timeEnd = this.#readTime(bytes, nameEnd + 1, end);
    if (nameEnd === name || timeEnd < 0 || (name > word && pidStart < 0)) return;
    let at = timeEnd + 1;
    let pid = 0;
    if (startsWith(bytes, at, end, PID)) {
      pid = Math.max(0, decimal(bytes, at + PID.length, end));
      at = skipWord(bytes, at, end) + 1;
    } else if (at < end && !hasEquals(bytes, at, end)) {
      return;
    }
    this.#readArguments(bytes, at, end);
    this.events++;
    this.#emit(bytes, name, nameEnd, pid);
  }

  #emit(bytes: Uint8Array, start: number, nameEnd: number, pid: number): void {
    const timeNs = this.#timeNs;
    if (nameEnd - start === DROPPED.length && startsWith(bytes, start, nameEnd, DROPPED)) {
      if (this.#first > 0) this.#sink.lost(-1, this.#first);
      else this.#sink.malformed('arguments');
      return;
    }
    const event = this.#vocabulary.qemuEvents.intern(bytes, start, nameEnd);
    this.#sink.qemuEvent(timeNs, pid, event);
    if (!isRunExit(bytes, start, nameEnd))
      emitSimpleDetail(this.#view, 0, this.#length, timeNs, pid, event, this.#vocabulary, this.#sink);
    else if (this.#first < 0 || this.#second < 0) this.#sink.malformed('arguments');
    else {
      const cpuIndex = this.#first > 0x7fffffff ? -1 : this.#first;
      this.#sink.qemuRunExit(timeNs, pid, cpuIndex, this.#reasons.id(this.#second));
    }
  }

  /** Adds the time at `start` to that of the event before. Returns its end; -1 if there is none. */
  #readTime(bytes: Uint8Array, start: number, end: number): number {
    const digits = bytes[start] === MINUS ? start + 1 : start;
    const point = skipDigits(bytes, digits, end);
    const fractionEnd = skipDigits(bytes, point + 1, end);
    if (point === digits || point >= end || bytes[point] !== DOT || fractionEnd - point - 1 !== FRACTION_DIGITS)
      return -1;
    if (fractionEnd < end && bytes[fractionEnd] !== SPACE) return -1;
    const deltaNs = decimal(bytes, digits, point) * 1000 + decimal(bytes, point + 1, fractionEnd);
    this.#timeNs += digits > start ? -deltaNs : deltaNs;
    return fractionEnd;
  }

  #readArguments(bytes: Uint8Array, start: number, end: number): void {
    this.#length = 0;
    this.#first = this.#second = -1;
    for (let at = start, count = 0; at < end; count++) {
      let value = at;
      while (value < end && bytes[value] !== EQUALS) value++;
      if (value >= end) return;
      value++;
      let next = skipWord(bytes, value, end);
      if (bytes[value] === ZERO && bytes[value + 1] === LETTER_X) {
        const number = hexadecimal(bytes, value, end);
        if (count === 0) this.#first = number;
        else if (count === 1) this.#second = number;
        if (!this.#putNumber(bytes, value + 2, next)) return;
      } else {
        // A string may hold blanks: it goes on up to the next argument.
        while (next < end && !hasEquals(bytes, next + 1, end)) next = skipWord(bytes, next + 1, end);
        if (!this.#putString(bytes, value, next)) return;
      }
      at = next + 1;
    }
  }

  /** Puts 64 bits, which a double cannot hold. */
  #putNumber(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#length + WORD > MAX_ARGUMENTS_BYTES) return false;
    const split = Math.max(start, end - WORD);
    this.#view.setUint32(this.#length, Math.max(0, hexadecimal(bytes, split, end)), true);
    this.#view.setUint32(this.#length + 4, split > start ? Math.max(0, hexadecimal(bytes, start, split)) : 0, true);
    this.#length += WORD;
    return true;
  }

  /** Python prints a string as `b'text'`. */
  #putString(bytes: Uint8Array, start: number, end: number): boolean {
    const text = latin1(bytes, start, end).replace(/^b(['"])(.*)\1$/, '$2');
    if (this.#length + 4 + text.length > MAX_ARGUMENTS_BYTES) return false;
    this.#view.setUint32(this.#length, text.length, true);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length + 4 + i] = text.charCodeAt(i);
    this.#length += 4 + text.length;
    return true;
  }
}

/** Start of the word before the one at `at`, or `start`. */
function wordBefore(bytes: Uint8Array, start: number, at: number): number {
  let i = at;
  while (i > start && bytes[i - 1] === SPACE) i--;
  while (i > start && bytes[i - 1] !== SPACE) i--;
  return i;
}

/** True if the word at `start` is `name=...`. */
function hasEquals(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start;
  while (i < end && (isNameByte(bytes[i] as number) || isDigit(bytes[i]))) i++;
  return i > start && i < end && bytes[i] === EQUALS;
}
