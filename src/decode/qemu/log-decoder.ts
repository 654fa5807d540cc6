/**
 * Decodes the log of QEMU's log backend: one event per line, among QEMU's other messages.
 *
 *   11225@1795395358.699146:kvm_run_exit cpu_index 1, reason 2
 *   kvm_run_exit cpu_index 1, reason 2
 *   vm-a virtio_queue_notify vdev 0x55d0c1b2 n 0 vq 0x7f2a10      with -msg guest-name=on
 *
 * Written by scripts/tracetool/backend/log.py (7.2: `name text`, with or without a prefix). log-prefix.ts decodes the
 * prefix, event-text.ts the text of an event.
 *
 * Which lines are events: every line with the prefix `tid@time:`. Without that prefix, the first word must look like
 * the name of an event (lower-case, with an underscore), and be in `knownEvents` if given. The name of a guest before
 * the event is skipped: before every event if `knownEvents` is given; otherwise before kvm_run_exit, and then before
 * all events that follow it. What other programs put before a line is skipped too: foreign-prefix.ts. All other lines
 * are ignored: register dumps of -d, warnings, lines of libvirt. A line of a saved log that holds several events is
 * cut: ../text/several-events.ts.
 */

import { latin1 } from '../../trace/names.js';
import type { QemuSink, Vocabulary } from '../../trace/sink.js';
import { ascii, indexOf, indexOfByte, skipDigits, skipWord, startsWith } from '../text/bytes.js';
import { LineSplitter } from '../text/line-splitter.js';
import { lastBreak, qemuHeads, splitEvents } from '../text/several-events.js';
import {
  emitQemuEvent,
  emitRunExit,
  eventNameEnd,
  isRunExit,
  RUN_EXIT,
  RUN_EXIT_TEXT,
  reasonStart,
} from './event-text.js';
import { ForeignPrefix } from './foreign-prefix.js';
import { QemuLogPrefix, THREAD_PREFIX } from './log-prefix.js';

export interface QemuLogOptions {
  /** Names of all events of this QEMU (from its trace-events-all), which tell events from other lines. */
  readonly knownEvents?: ReadonlySet<string>;
  /** True for saved logs, whose lines other programs may have joined: a line can hold several events. */
  readonly isSaved?: boolean;
}

const COLON = 0x3a;
const AT = 0x40;
/** Words that the name of a guest may have. */
const MAX_GUEST_WORDS = 8;
const CLOCK_TIME = /\d:\d\d/;
/** No text of kvm_run_exit is longer. */
const MAX_RUN_EXIT = 'kvm_run_exit cpu_index -2147483648, reason 4294967295'.length;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const LESS_THAN = 0x3c;
const UNDERSCORE = 0x5f;
const CPU_INDEX = ascii(' cpu_index ');

export class QemuLogDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #sink: QemuSink;
  readonly #known: ReadonlySet<string> | undefined;
  /** True by id of each event that was found in {@link QemuLogOptions.knownEvents}. */
  readonly #knownIds: boolean[] = [];
  readonly #lines: LineSplitter;
  readonly #prefix = new QemuLogPrefix();
  readonly #foreignPrefix = new ForeignPrefix();
  /** Name of the guest and the blank that follows it, once a line has shown it. */
  #guest: Uint8Array | undefined;
  #isGuestNew = false;
  readonly #isSaved: boolean;
  /** True while the pieces of a line are decoded. */
  #isPiece = false;
  /** Start of the event's name in the present line. */
  #nameStart = 0;
  /** End of that name; -1 if the line is not an event. */
  #nameEnd = -1;

  constructor(vocabulary: Vocabulary, sink: QemuSink, options: QemuLogOptions = {}) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#known = options.knownEvents;
    this.#isSaved = options.isSaved === true;
    this.#lines = new LineSplitter(
      (bytes, start, end) => this.#line(bytes, start, end),
      () => sink.malformed('line-too-long'),
      undefined,
      (bytes, start, end) => this.#lastLine(bytes, start, end),
      options.isSaved === true ? lastBreak : undefined,
    );
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  /** To be called at the end of the input. A last line without a line end counts if it is a whole event. */
  end(): void {
    this.#lines.end();
  }

  #line(bytes: Uint8Array, start: number, end: number): void {
    const prefix = this.#prefix;
    prefix.scan(bytes, start, end);
    const { textStart } = prefix;
    // Tested first, because nearly every line is this event.
    if (startsWith(bytes, textStart, end, RUN_EXIT_TEXT)) {
      if (end - textStart > MAX_RUN_EXIT && this.#several(bytes, start, end)) return;
      this.#runExit(bytes, textStart + RUN_EXIT_TEXT.length, end);
    } else if (this.#locate(bytes, end)) {
      if (holdsHead(bytes, this.#nameEnd, end) && this.#several(bytes, start, end)) return;
      if (this.#isGuestNew) this.#checkGuest(bytes, start, end);
      this.#event(bytes, end);
    } else if (prefix.kind === THREAD_PREFIX) this.#sink.malformed('line');
    else this.#lineBehindPrefix(bytes, start, end);
  }

  /** Decodes a line of QEMU that another program has put a prefix before. */
  #lineBehindPrefix(bytes: Uint8Array, start: number, end: number): void {
    const foreign = this.#foreignPrefix;
    const from = foreign.find(bytes, start, end);
    if (from < 0) return;
    this.#prefix.scan(bytes, from, end);
    if (holdsHead(bytes, this.#prefix.textStart, end) && this.#several(bytes, start, end)) return;
    if (foreign.runExitArgument >= 0) this.#runExit(bytes, foreign.runExitArgument, end);
    else if (this.#locate(bytes, end)) this.#event(bytes, end);
    else if (this.#prefix.kind === THREAD_PREFIX) this.#sink.malformed('line');
  }

  /** Decodes the events of a line that holds several. False if it does not. */
  #several(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.#isSaved || this.#isPiece) return false;
    this.#isPiece = true;
    const isCut = splitEvents(bytes, start, end, qemuHeads, (piece, from, to) => this.#line(piece, from, to));
    this.#isPiece = false;
    return isCut;
  }

  /** What stands before kvm_run_exit is the name of a guest, unless it holds a time, which changes with each line. */
  #checkGuest(bytes: Uint8Array, start: number, end: number): void {
    this.#isGuestNew = false;
    if (!CLOCK_TIME.test(latin1(bytes, this.#prefix.textStart, this.#nameStart))) return;
    this.#guest = undefined;
    this.#foreignPrefix.find(bytes, start, end);
  }

  #runExit(bytes: Uint8Array, argument: number, end: number): void {
    const { timeNs, tid } = this.#prefix;
    emitRunExit(bytes, argument, end, timeNs, tid, this.#vocabulary, this.#sink);
    if (this.#isPiece && holdsName(bytes, skipDigits(bytes, reasonStart(bytes, argument, end), end), end))
      this.#sink.malformed('line');
  }

  #event(bytes: Uint8Array, end: number): void {
    const { timeNs, tid } = this.#prefix;
    emitQemuEvent(bytes, this.#nameStart, this.#nameEnd, end, timeNs, tid, this.#vocabulary, this.#sink);
  }

  #lastLine(bytes: Uint8Array, start: number, end: number): void {
    this.#prefix.scan(bytes, start, end);
    if (this.#locate(bytes, end) && this.#isWhole(bytes, end)) return this.#line(bytes, start, end);
    const from = this.#foreignPrefix.find(bytes, start, end);
    if (from > start && this.#isWholeBehindPrefix(bytes, from, end)) return this.#line(bytes, start, end);
    this.#prefix.scan(bytes, Math.max(start, from), end);
    if (this.#isBegun(bytes, Math.max(start, from), end)) this.#sink.malformed('truncated');
  }

  #isWholeBehindPrefix(bytes: Uint8Array, from: number, end: number): boolean {
    const { runExitArgument } = this.#foreignPrefix;
    if (runExitArgument >= 0) return reasonStart(bytes, runExitArgument, end) >= 0;
    this.#prefix.scan(bytes, from, end);
    return this.#locate(bytes, end) && this.#isWhole(bytes, end);
  }

  /**
   * True if the last line is not cut. QEMU writes a blank after every name, so a name at the end of the input may be
   * cut.
   */
  #isWhole(bytes: Uint8Array, end: number): boolean {
    if (this.#nameEnd >= end) return false;
    if (!isRunExit(bytes, this.#nameStart, this.#nameEnd)) return true;
    return (
      startsWith(bytes, this.#nameStart, end, RUN_EXIT_TEXT) &&
      reasonStart(bytes, this.#nameStart + RUN_EXIT_TEXT.length, end) >= 0
    );
  }

  /** True if a cut line is the beginning of an event. */
  #isBegun(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#prefix.kind === THREAD_PREFIX) return true;
    const digits = skipDigits(bytes, start, end);
    // `bytes` may hold the remains of a longer line behind `end`.
    const isNumbered = digits > start && digits < end && bytes[digits] === AT;
    return isNumbered || eventNameEnd(bytes, this.#nameStart, end, true) >= 0;
  }

  /** Finds the name of the event behind the prefix and the name of the guest. False if the line is not an event. */
  #locate(bytes: Uint8Array, end: number): boolean {
    const { kind, textStart } = this.#prefix;
    const guest = this.#guest;
    const start =
      guest !== undefined && startsWith(bytes, textStart, end, guest) ? textStart + guest.length : textStart;
    this.#nameStart = start;
    // Only events have the prefix with a thread id, so any word is a name.
    if (kind === THREAD_PREFIX) this.#nameEnd = eventNameEnd(bytes, start, end, false);
    else if (this.#known !== undefined) this.#locateKnown(bytes, end, this.#known);
    else this.#locateLikely(bytes, end);
    return this.#nameEnd >= 0;
  }

  #locateKnown(bytes: Uint8Array, end: number, known: ReadonlySet<string>): void {
    let at = this.#nameStart;
    for (let word = 0; word <= MAX_GUEST_WORDS && at < end; word++) {
      const nameEnd = eventNameEnd(bytes, at, end, false);
      if (nameEnd >= 0 && this.#isKnown(bytes, at, nameEnd, known)) {
        this.#nameStart = at;
        this.#nameEnd = nameEnd;
        return;
      }
      at = skipWord(bytes, at, end) + 1;
    }
    this.#nameEnd = -1;
  }

  #isKnown(bytes: Uint8Array, start: number, end: number, known: ReadonlySet<string>): boolean {
    const id = this.#vocabulary.qemuEvents.find(bytes, start, end);
    if (this.#knownIds[id] === true) return true;
    // Id 0 (`other`) stands for all names that the vocabulary has no room for.
    const isKnown = known.has(latin1(bytes, start, end));
    if (isKnown && id > 0) this.#knownIds[id] = true;
    return isKnown;
  }

  /** The name of a guest may look like the name of an event (in KubeVirt it does): kvm_run_exit behind it decides. */
  #locateLikely(bytes: Uint8Array, end: number): void {
    const start = this.#nameStart;
    this.#nameEnd = eventNameEnd(bytes, start, end, true);
    if (this.#nameEnd >= 0 && !startsWith(bytes, this.#nameEnd + 1, end, RUN_EXIT_TEXT)) return;
    const runExit = runExitStart(bytes, start, end);
    this.#nameEnd = runExit < 0 ? -1 : runExit + RUN_EXIT.length;
    if (runExit <= start) return;
    this.#nameStart = runExit;
    this.#guest = new Uint8Array(bytes.subarray(this.#prefix.textStart, runExit));
    this.#isGuestNew = true;
  }
}

/** True if the text behind an event's name may hold another event. */
function holdsHead(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (byte === AT || byte === BACKSLASH || byte === QUOTE || byte === LESS_THAN) return true;
  }
  return indexOf(bytes, start, end, CPU_INDEX) >= 0;
}

/** True if an event without a prefix seems to follow: nothing shows where it begins on a line with more events. */
function holdsName(bytes: Uint8Array, start: number, end: number): boolean {
  return indexOfByte(bytes, start, end, UNDERSCORE) >= 0;
}

/** Recognises a log of QEMU by its lines. */
export class QemuLogRecogniser {
  readonly #prefix = new QemuLogPrefix();
  readonly #foreignPrefix = new ForeignPrefix();
  #lines = 0;
  #events = 0;

  /** True if most lines so far look like events, though none of them is certain to be one. */
  get isLikely(): boolean {
    return this.#events * 2 > this.#lines;
  }

  /** True if `bytes[start, end)` is certain to be an event: it has a prefix with a thread, or is kvm_run_exit. */
  isEvent(bytes: Uint8Array, start: number, end: number): boolean {
    this.#lines++;
    this.#prefix.scan(bytes, start, end);
    if (eventNameEnd(bytes, this.#prefix.textStart, end, true) >= 0) this.#events++;
    const from = this.#foreignPrefix.find(bytes, start, end);
    if (this.#foreignPrefix.runExitArgument >= 0)
      return reasonStart(bytes, this.#foreignPrefix.runExitArgument, end) >= 0;
    if (from < 0) return false;
    this.#prefix.scan(bytes, from, end);
    return this.#prefix.kind === THREAD_PREFIX && eventNameEnd(bytes, this.#prefix.textStart, end, true) >= 0;
  }
}

/**
 * Position of kvm_run_exit as the first word, or behind as many words as the name of a guest may have; -1 if it is not
 * there.
 */
function runExitStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let word = 0; word <= MAX_GUEST_WORDS && at < end; word++) {
    if (startsWith(bytes, at, end, RUN_EXIT_TEXT)) return at;
    at = skipWord(bytes, at, end) + 1;
    // `tracing_mark_write: kvm_run_exit ...` is a line of ftrace. The name of a guest does not end in a colon.
    if (bytes[at - 2] === COLON) return -1;
  }
  return -1;
}
