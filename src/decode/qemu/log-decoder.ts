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
 * all events that follow it. All other lines are ignored: register dumps of -d, warnings, lines of libvirt.
 */

import { latin1, OTHER_ID } from '../../trace/names.js';
import type { QemuSink, Vocabulary } from '../../trace/sink.js';
import { ascii, indexOf, skipDigits, skipWord, startsWith } from '../text/bytes.js';
import { LineSplitter } from '../text/line-splitter.js';
import { MAX_NEW_NAMES } from './event-numbers.js';
import {
  emitQemuEvent,
  emitRunExit,
  eventNameEnd,
  isRunExit,
  RUN_EXIT,
  RUN_EXIT_TEXT,
  reasonStart,
} from './event-text.js';
import { QemuLogPrefix, THREAD_PREFIX } from './log-prefix.js';

export interface QemuLogOptions {
  /** Names of all events of this QEMU (from its trace-events-all), which tell events from other lines. */
  readonly knownEvents?: ReadonlySet<string>;
}

const LIBVIRT_START = ascii(': starting up libvirt version');

const COLON = 0x3a;
const AT = 0x40;
/** Words that the name of a guest may have. */
const MAX_GUEST_WORDS = 8;
/** Bytes that {@link looksLikeQemuLog} looks at. */
const MAX_HEAD = 1 << 18;

export class QemuLogDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #sink: QemuSink;
  readonly #known: ReadonlySet<string> | undefined;
  /** True by id of each event that was found in {@link QemuLogOptions.knownEvents}. */
  readonly #knownIds: boolean[] = [];
  readonly #lines: LineSplitter;
  readonly #prefix = new QemuLogPrefix();
  /** Name of the guest and the blank that follows it, once a line has shown it. */
  #guest: Uint8Array | undefined;
  /** Start of the event's name in the present line. */
  #nameStart = 0;
  /** End of that name; -1 if the line is not an event. */
  #nameEnd = -1;
  /** Names that this log has added to the vocabulary. */
  #newNames = 0;

  constructor(vocabulary: Vocabulary, sink: QemuSink, options: QemuLogOptions = {}) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#known = options.knownEvents;
    this.#lines = new LineSplitter(
      (bytes, start, end) => this.#line(bytes, start, end),
      () => sink.malformed('line-too-long'),
      undefined,
      (bytes, start, end) => this.#lastLine(bytes, start, end),
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
    const { timeNs, tid, textStart } = prefix;
    // Tested first, because nearly every line is this event.
    if (startsWith(bytes, textStart, end, RUN_EXIT_TEXT)) {
      emitRunExit(bytes, textStart + RUN_EXIT_TEXT.length, end, timeNs, tid, this.#vocabulary, this.#sink);
    } else if (this.#locate(bytes, end)) {
      const { qemuEvents } = this.#vocabulary;
      if (this.#newNames >= MAX_NEW_NAMES && !qemuEvents.has(latin1(bytes, this.#nameStart, this.#nameEnd)))
        return this.#sink.qemuEvent(timeNs, tid, OTHER_ID);
      const before = qemuEvents.unknownSize;
      emitQemuEvent(bytes, this.#nameStart, this.#nameEnd, end, timeNs, tid, this.#vocabulary, this.#sink);
      this.#newNames += qemuEvents.unknownSize - before;
    } else if (prefix.kind === THREAD_PREFIX) {
      this.#sink.malformed('line');
    }
  }

  #lastLine(bytes: Uint8Array, start: number, end: number): void {
    this.#prefix.scan(bytes, start, end);
    if (this.#locate(bytes, end) && this.#isWhole(bytes, end)) this.#line(bytes, start, end);
    else if (this.#isBegun(bytes, start, end)) this.#sink.malformed('truncated');
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
  }
}

/**
 * True if a file that begins like this is a log of QEMU: it has an event with a prefix or kvm_run_exit, or most lines
 * look like events.
 */
export function looksLikeQemuLog(head: Uint8Array): boolean {
  const prefix = new QemuLogPrefix();
  let lines = 0;
  let events = 0;
  let certain = false;
  const look = (bytes: Uint8Array, start: number, end: number): void => {
    lines++;
    prefix.scan(bytes, start, end);
    const at = prefix.textStart;
    if (indexOf(bytes, start, end, LIBVIRT_START) >= 0 || runExitStart(bytes, at, end) >= 0) certain = true;
    if (eventNameEnd(bytes, at, end, true) < 0) return;
    events++;
    if (prefix.kind === THREAD_PREFIX) certain = true;
  };
  const splitter = new LineSplitter(look, () => lines++, undefined, look);
  splitter.push(head.subarray(0, MAX_HEAD));
  splitter.end();
  return certain || events * 2 > lines;
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
