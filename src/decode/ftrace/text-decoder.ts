/**
 * The text forms of ftrace: `trace_pipe`, `trace`, `trace-cmd report` and `perf script`, live or saved.
 *
 *   # tracer: nop                                                                       comment
 *          CPU 0/KVM-7550    (   7544) [000] .....  2575.767: kvm_userspace_exit: reason KVM_EXIT_IO (2)
 *          CPU 0/KVM-7550    (   7544) [000] ...1.  2575.768: tracing_mark_write: kvm_run_exit cpu_index 0, reason 2
 *   CPU:1 [LOST 1472 EVENTS]                                                            loss-line.ts
 *
 * Source: kernel/trace/trace_output.c and trace.c (Linux 6.18). ftrace-line.ts parses the headers of lines; the files
 * of kvm/ and marker.ts scan the events' own text. saved-text-decoder.ts reads what else occurs in saved files.
 */

import { latin1 } from '../../trace/names.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import type { TextScanner } from '../format/event-forms.js';
import { EVENT_FORMS } from '../kvm/events.js';
import { ascii, startsWith } from '../text/bytes.js';
import { commStart, FtraceLine } from '../text/ftrace-line.js';
import { LineSplitter } from '../text/line-splitter.js';
import { holdsEvent, lastBreak } from '../text/several-events.js';
import { reportLossLine } from './loss-line.js';
import { isQemuMarker, MARKER_NAME, MARKER_TOKENS, marker } from './marker.js';

const COMMENT = 0x23;
const MARGIN = 16;
const UNNAMED = ascii('<...>');

/** What happens to lines that have no header of ftrace, and to events whose text is not understood. */
export interface UnreadLines {
  /** `bytes[start, end)` has no header. */
  line(bytes: Uint8Array, start: number, end: number): void;
  /** The last line of the input has no line end and no complete header. */
  lastLine(bytes: Uint8Array, start: number, end: number): void;
  /** `bytes[start, end)` begins with `#`. */
  comment(bytes: Uint8Array, start: number, end: number): void;
  /** The header in `line` is known and its event `name` is counted, but the event's own text is not understood. */
  arguments(bytes: Uint8Array, start: number, end: number, line: FtraceLine, name: number): void;
  /**
   * The event's own text in `bytes[start, end)` seems to hold another event. Returns true if the line has been cut, and
   * its pieces decoded.
   */
  readonly several?: (bytes: Uint8Array, start: number, end: number) => boolean;
}

export class FtraceTextDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #sink: TraceSink;
  readonly #lines: LineSplitter;
  readonly #line = new FtraceLine();
  readonly #marker: number;
  readonly #unread: UnreadLines;
  /** Scanners by tracepoint id. */
  readonly #scanners: (TextScanner | undefined)[] = [];
  /**
   * Lengths by tracepoint id. A shorter text of the event holds no other event, as a header alone takes more than
   * {@link MARGIN}, and texts of one event differ by less than a header and a text. Undefined: not known.
   */
  readonly #plainLengths: number[] = [];
  /** The threads that were reported to the sink, by tid. */
  readonly #threads = new Map<number, SeenThread>();
  #lastThread: SeenThread = { tid: -1, tgid: -1, length: -1, first: -1, last: -1 };
  #events = 0;
  #startsAtZero = false;
  #stepsBack = false;
  #lastNs = Number.NaN;

  /** @param unread by default all such lines are malformed, as in the text of a running kernel */
  constructor(vocabulary: Vocabulary, sink: TraceSink, unread: UnreadLines = new MalformedLines(sink)) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#unread = unread;
    this.#marker = vocabulary.tracepoints.id(MARKER_NAME);
    for (const token of MARKER_TOKENS) {
      const bytes = ascii(token);
      vocabulary.tracepoints.teach(bytes, 0, bytes.length, this.#marker);
    }
    this.#scanners[this.#marker] = marker.text({ vocabulary, sink });
    for (const [name, { text }] of EVENT_FORMS) this.setScanner(name, text({ vocabulary, sink }));
    this.#lines = new LineSplitter(
      (bytes, start, end) => this.decodeLine(bytes, start, end),
      () => sink.malformed('line-too-long'),
      undefined,
      (bytes, start, end) => this.#decodeLastLine(bytes, start, end),
      unread.several === undefined ? undefined : lastBreak,
    );
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  /** Ends the input. A last line without a line end is decoded if its header is complete. */
  end(): void {
    this.#lines.end();
  }

  /**
   * True if the times are those since the event before (perf script --deltatime): the first is 0, and later ones are
   * smaller than some before them. perf prints events in the order of their times.
   */
  get hasDeltaTimes(): boolean {
    return this.#startsAtZero && this.#stepsBack;
  }

  /** The number of events so far. */
  get events(): number {
    return this.#events;
  }

  /** True if a line has named a thread. */
  get hasThreads(): boolean {
    return this.#threads.size > 0;
  }

  /** Makes `scan` read the text of an event from now on. */
  setScanner(name: string, scan: TextScanner): void {
    this.#scanners[this.#vocabulary.tracepoints.id(name)] = scan;
  }

  scannerOf(name: number): TextScanner | undefined {
    return this.#scanners[name];
  }

  /** Counts and decodes the event of a line whose header has been parsed. */
  decodeEvent(bytes: Uint8Array, start: number, end: number, line: FtraceLine): void {
    const { tracepoints } = this.#vocabulary;
    let name = tracepoints.find(bytes, line.eventStart, line.eventEnd);
    if (name < 0) name = this.#addName(bytes, end, line);
    // Every line of a trace passes here, so its length decides first.
    if (end - line.argsStart >= (this.#plainLengths[name] ?? 0) && this.#isCut(bytes, start, end, line, name)) return;
    if (this.#events++ === 0) this.#startsAtZero = line.timeNs === 0 && !line.hasFlags;
    else if (line.timeNs < this.#lastNs) this.#stepsBack = true;
    this.#lastNs = line.timeNs;
    this.#sink.tracepoint(line.timeNs, line.cpu, line.tid, name);
    const scan = this.#scanners[name];
    if (scan !== undefined && !scan(bytes, end, line)) this.#unread.arguments(bytes, start, end, line, name);
  }

  /** Reports the thread of a line, unless it was reported before. */
  reportThread(bytes: Uint8Array, line: FtraceLine): void {
    const { tid, tgid } = line;
    const first = bytes[line.commStart];
    const last = bytes[line.commEnd - 1];
    const length = line.commEnd - line.commStart;
    // Nearly always the line is of the same thread as the one before.
    let seen: SeenThread | undefined = this.#lastThread;
    if (seen.tid !== tid) {
      seen = this.#threads.get(tid);
      if (seen !== undefined) this.#lastThread = seen;
    }
    const isKnown = seen !== undefined && seen.tgid === tgid && seen.length === length;
    if (isKnown && seen?.first === first && seen?.last === last) return;
    if (this.#threads.size >= MAX_THREADS) this.#threads.clear();
    this.#lastThread = { tid, tgid, length, first, last };
    this.#threads.set(tid, this.#lastThread);
    const start = commStart(bytes, line.commStart, line.commEnd);
    const unnamed = startsWith(bytes, start, line.commEnd, UNNAMED);
    this.#sink.thread(line.tid, line.tgid, unnamed ? '' : latin1(bytes, start, line.commEnd));
  }

  decodeLine(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    if (bytes[start] === COMMENT) return this.#unread.comment(bytes, start, end);
    const line = this.#line;
    if (line.parse(bytes, start, end)) {
      this.reportThread(bytes, line);
      this.decodeEvent(bytes, start, end, line);
    } else {
      this.#unread.line(bytes, start, end);
    }
  }

  #decodeLastLine(bytes: Uint8Array, start: number, end: number): void {
    if (start === end || bytes[start] === COMMENT) return;
    if (this.#line.parse(bytes, start, end)) this.decodeLine(bytes, start, end);
    else this.#unread.lastLine(bytes, start, end);
  }

  /** Cuts a line if it holds several events. Notes how long the text of its event is if it does not. */
  #isCut(bytes: Uint8Array, start: number, end: number, { argsStart, timeNs }: FtraceLine, name: number): boolean {
    const { several } = this.#unread;
    if (several === undefined) this.#plainLengths[name] = Number.POSITIVE_INFINITY;
    else if (holdsEvent(bytes, argsStart, end, !Number.isNaN(timeNs))) return several(bytes, start, end);
    else if (name !== this.#marker && this.#scanners[name] !== undefined)
      this.#plainLengths[name] = Math.min(
        this.#plainLengths[name] ?? Number.POSITIVE_INFINITY,
        end - argsStart + MARGIN,
      );
    return false;
  }

  /** Adds an event name that was not seen before. An unknown name in front of a QEMU event stands for a marker. */
  #addName(bytes: Uint8Array, end: number, line: FtraceLine): number {
    const { tracepoints } = this.#vocabulary;
    const { eventStart, eventEnd } = line;
    if (!isQemuMarker(bytes, end, line)) return tracepoints.intern(bytes, eventStart, eventEnd);
    tracepoints.teach(bytes, eventStart, eventEnd, this.#marker);
    return this.#marker;
  }
}

/** The text of a running kernel: every line is an event or reports lost events, so anything else is malformed. */
class MalformedLines implements UnreadLines {
  readonly #sink: TraceSink;

  constructor(sink: TraceSink) {
    this.#sink = sink;
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    if (!reportLossLine(bytes, start, end, this.#sink)) this.#sink.malformed('line');
  }

  lastLine(): void {
    this.#sink.malformed('truncated');
  }

  comment(): void {}

  arguments(): void {
    this.#sink.malformed('arguments');
  }
}

/** Limits the memory for thread names. */
const MAX_THREADS = 65536;

/** Enough of a thread's name to see that it changed. */
interface SeenThread {
  tid: number;
  tgid: number;
  length: number;
  first: number | undefined;
  last: number | undefined;
}
