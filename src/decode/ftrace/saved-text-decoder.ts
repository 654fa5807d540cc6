/**
 * Text of ftrace in saved files: the lines of a running kernel, and what trace-cmd, perf and people make of them.
 *
 *   CPU 0/KVM   159    13.100363: kvm:kvm_exit: vcpu 0 ...      headers that lack parts: loose-line.ts
 *   kvm_userspace_exit: reason=0 errno=-4                       events as fields: ../kvm/field-text.ts
 *   a.out-5665  [000] ....   280.971121:                        lines that a mail program or terminal has broken
 *    kvm_exit: reason EXTERNAL_INTERRUPT rip 0x22da
 *   cpus=8 | CPU 3 is empty | stack traces | notes              ordinary lines: no events, and no errors either
 *   "... kvm_entry: vcpu 0", "... kvm_exit: reason hlt"         several events: ../text/several-events.ts
 *
 * A line that looks like a damaged event is malformed.
 */
import type { MalformedKind, TraceSink, Vocabulary } from '../../trace/sink.js';
import type { TextScanner } from '../format/event-forms.js';
import { ENTRY_NAMES, EVENT_FORMS, EXIT_NAMES } from '../kvm/events.js';
import { UNKNOWN_REASON } from '../kvm/exit/unknown-exit.js';
import { fieldScanner } from '../kvm/field-text.js';
import { ascii, indexOfByte, startsWith } from '../text/bytes.js';
import { FtraceLine } from '../text/ftrace-line.js';
import { isHeaderAlone, parseLoose } from '../text/loose-line.js';
import { ftraceHeads, holdsEvent, splitEvents } from '../text/several-events.js';
import { HeldLine } from './held-line.js';
import { isLossLike, lossStart, reportLossLine } from './loss-line.js';
import { isRawLine, looksDamaged, textStart } from './other-lines.js';
import { SavedTextScanners } from './saved-text-scanners.js';
import { FtraceTextDecoder, type UnreadLines } from './text-decoder.js';

const COMMENT = 0x23;
const BACKSLASH = 0x5c;
/** No shorter line holds two events. */
const MIN_LIST = 64;
/** No line of prose or of a stack trace is longer. */
const LONG_LINE = 512;
const TRACER = ascii('# tracer:');
/** What trace-cmd and perf write before the fields of an event whose format they could not use. */
const NOT_FORMATTED = ascii('[FAILED TO PARSE] ');

export class SavedTextDecoder implements UnreadLines {
  /** Lines written with the option `raw` or `hex`, without names and text: `175 0 13163980362 type: 1380`. */
  rawLines = 0;
  /** Events whose line does not name the thread. */
  threadlessEvents = 0;
  /** Events without a header whose text was understood: prose does not look like that. */
  #bareEvents = 0;
  #otherLines = 0;
  /** True while the pieces of a line are decoded. */
  #isCut = false;
  readonly #vocabulary: Vocabulary;
  readonly #sink: TraceSink;
  readonly #decoder: FtraceTextDecoder;
  readonly #scanners: SavedTextScanners;
  readonly #line = new FtraceLine();
  readonly #held = new HeldLine();
  /** What an event is called whose text is not understood: the last line of a file is cut if it has no line end. */
  #unread: MalformedKind = 'arguments';
  #heldUnread: MalformedKind = 'arguments';
  /** Scanners of events as fields, by tracepoint id. */
  readonly #fieldScanners = new Map<number, TextScanner | undefined>();
  readonly #exits: ReadonlySet<number>;
  readonly #entries: ReadonlySet<number>;

  constructor(vocabulary: Vocabulary, sink: TraceSink) {
    const idOf = (name: string) => vocabulary.tracepoints.id(name);
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#decoder = new FtraceTextDecoder(vocabulary, sink, this);
    this.#scanners = new SavedTextScanners(this.#decoder, vocabulary, sink);
    this.#exits = new Set(EXIT_NAMES.map(idOf));
    this.#entries = new Set(ENTRY_NAMES.map(idOf));
  }

  /** Userspace exits that may have been failed calls of KVM_RUN, which the text does not tell. */
  get undecidedExits(): number {
    return this.#scanners.failedCalls.undecided;
  }

  /** Events that are certain to be events: they have a header, or a text that is understood. */
  get certainEvents(): number {
    return this.#decoder.events + this.#bareEvents;
  }

  /** True if the times are those since the event before, which say nothing of how long an exit took. */
  get hasDeltaTimes(): boolean {
    return this.#decoder.hasDeltaTimes;
  }

  /** True if a line has named a thread. */
  get namesThreads(): boolean {
    return this.#decoder.hasThreads;
  }

  /** True if so far there was nothing but comments, and among them the heading of the kernel's file `trace`. */
  get isEmptyTrace(): boolean {
    return this.#scanners.hasTracerHeader && this.certainEvents === 0 && this.#otherLines === 0;
  }

  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk);
  }

  end(): void {
    this.#unread = 'truncated';
    this.#decoder.end();
    this.#giveUpHeld();
    this.#scanners.failedCalls.end();
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isSecondPart(bytes, start, end)) return;
    const text = textStart(bytes, start, end);
    if (text === end || bytes[text] === COMMENT || this.#isLoss(bytes, text, end)) return;
    if (isRawLine(bytes, text, end)) this.rawLines++;
    else if (this.#decodeLoose(bytes, start, end)) return;
    else if (isHeaderAlone(this.#line, bytes, start, end)) this.#hold(bytes, start, end, -1);
    else {
      this.#otherLines++;
      if (looksDamaged(bytes, text, end)) this.#sink.malformed('line');
    }
  }

  lastLine(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isSecondPart(bytes, start, end)) return;
    const text = textStart(bytes, start, end);
    if (text === end || this.#isLoss(bytes, text, end) || this.#decodeLoose(bytes, start, end)) return;
    // Only the kernel's and other programs' columns begin with blanks.
    if (text > start || looksDamaged(bytes, text, end)) this.#sink.malformed('truncated');
  }

  comment(bytes: Uint8Array, start: number, end: number): void {
    if (startsWith(bytes, start, end, TRACER)) this.#scanners.hasTracerHeader = true;
  }

  arguments(bytes: Uint8Array, start: number, end: number, line: FtraceLine, name: number): void {
    if (this.#scanFields(bytes, end, line, name)) return;
    // The text may go on in the next line.
    if (!this.#hold(bytes, start, end, name)) this.#giveUp(line, name, this.#unread);
  }

  readonly several = (bytes: Uint8Array, start: number, end: number): boolean => {
    if (this.#isCut) return false;
    this.#isCut = true;
    const isCut = splitEvents(bytes, start, end, ftraceHeads, (piece, from, to) =>
      this.#decoder.decodeLine(piece, from, to),
    );
    this.#isCut = false;
    return isCut;
  };

  #isLoss(bytes: Uint8Array, start: number, end: number): boolean {
    const at = lossStart(bytes, start, end);
    if (reportLossLine(bytes, at, end, this.#sink)) this.#scanners.failedCalls.forget();
    else if (isLossLike(bytes, at, end)) this.#sink.malformed('line');
    else return false;
    return true;
  }

  #decodeLoose(bytes: Uint8Array, start: number, end: number): boolean {
    const line = this.#line;
    const isEvent = parseLoose(line, bytes, start, end);
    if (!isEvent) return this.#isListOfBareEvents(bytes, start, end);
    if (line.hasThread) this.#decoder.reportThread(bytes, line);
    // Events of several threads in one row cannot be paired.
    else line.timeNs = Number.NaN;
    if (!line.hasThread && line.cpu < 0) return this.#decodeBare(bytes, start, end, line);
    if (!line.hasThread) this.threadlessEvents++;
    this.#decoder.decodeEvent(bytes, start, end, line);
    return true;
  }

  /** `"text": "kvm_exit: reason hlt rip 0x1234\nkvm_entry: vcpu 0"` */
  #isListOfBareEvents(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    const mayBeList = length >= MIN_LIST && (length >= LONG_LINE || indexOfByte(bytes, start, end, BACKSLASH) >= 0);
    return mayBeList && holdsEvent(bytes, start, end, false) && this.several(bytes, start, end);
  }

  /** Decodes an event without a header. Prose has words like that too, so the text has to be understood. */
  #decodeBare(bytes: Uint8Array, start: number, end: number, line: FtraceLine): boolean {
    const { eventStart, eventEnd } = line;
    if (holdsEvent(bytes, line.argsStart, end, false) && this.several(bytes, start, end)) return true;
    const { tracepoints } = this.#vocabulary;
    const name = tracepoints.intern(bytes, eventStart, eventEnd);
    const scan = this.#decoder.scannerOf(name);
    if (scan !== undefined && !scan(bytes, end, line) && !this.#scanFields(bytes, end, line, name)) return false;
    this.threadlessEvents++;
    if (scan !== undefined) this.#bareEvents++;
    this.#sink.tracepoint(line.timeNs, line.cpu, line.tid, name);
    return true;
  }

  #scanFields(bytes: Uint8Array, end: number, line: FtraceLine, name: number): boolean {
    if (startsWith(bytes, line.argsStart, end, NOT_FORMATTED)) line.argsStart += NOT_FORMATTED.length;
    if (!this.#fieldScanners.has(name)) {
      const text = this.#vocabulary.tracepoints.text(name);
      const forms = EVENT_FORMS.get(text);
      const context = { vocabulary: this.#vocabulary, sink: this.#sink };
      this.#fieldScanners.set(name, forms && fieldScanner(text, forms, context));
    }
    return this.#fieldScanners.get(name)?.(bytes, end, line) === true;
  }

  #hold(bytes: Uint8Array, start: number, end: number, name: number): boolean {
    this.#giveUpHeld();
    this.#heldUnread = this.#unread;
    return this.#held.hold(bytes, start, end, name, this.#decoder.events);
  }

  /** Decodes the held line together with this one, its second part. */
  #isSecondPart(bytes: Uint8Array, start: number, end: number): boolean {
    const held = this.#held;
    if (held.length === 0) return false;
    const text = textStart(bytes, start, end);
    const isNext = held.events === this.#decoder.events;
    for (const mustBreakWord of isNext && text < end ? [false, true] : []) {
      const length = held.append(bytes, start, text, end, mustBreakWord);
      if (length > 0 && this.#decodeJoined(held, length)) return true;
    }
    this.#giveUpHeld();
    return false;
  }

  #decodeJoined({ bytes, length: firstLength, name }: HeldLine, length: number): boolean {
    const line = this.#line;
    const isStrict = line.parse(bytes, 0, length);
    if (!isStrict && !parseLoose(line, bytes, 0, length)) return false;
    if (name >= 0) {
      if (this.#decoder.scannerOf(name)?.(bytes, length, line) !== true) return false;
    } else {
      if (line.eventStart < firstLength || !(isStrict || line.hasThread)) return false;
      this.#held.release();
      this.#decoder.reportThread(bytes, line);
      this.#decoder.decodeEvent(bytes, 0, length, line);
      return true;
    }
    this.#held.release();
    return true;
  }

  #giveUpHeld(): void {
    const { bytes, length, name } = this.#held;
    if (length === 0) return;
    this.#held.release();
    const line = this.#line;
    if (name < 0) this.#sink.malformed('line');
    else if (line.parse(bytes, 0, length) || parseLoose(line, bytes, 0, length))
      this.#giveUp(line, name, this.#heldUnread);
  }

  /** The event's text is not understood. An exit is an exit, whatever its text says. */
  #giveUp({ timeNs, cpu, tid }: FtraceLine, name: number, kind: MalformedKind): void {
    this.#sink.malformed(kind);
    const reason = this.#vocabulary.reasons.id(UNKNOWN_REASON);
    if (this.#exits.has(name)) this.#scanners.sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN);
    else if (this.#entries.has(name)) this.#scanners.sink.vmEntry(timeNs, cpu, tid, -1);
  }
}
