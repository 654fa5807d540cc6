/**
 * The text forms of ftrace: `trace_pipe`, `trace`, `trace-cmd report` and `perf script`, live or saved.
 *
 *   # tracer: nop                                                                       comment
 *          CPU 0/KVM-7550    (   7544) [000] .....  2575.767: kvm_userspace_exit: reason KVM_EXIT_IO (2)
 *          CPU 0/KVM-7550    (   7544) [000] ...1.  2575.768: tracing_mark_write: kvm_run_exit cpu_index 0, reason 2
 *   CPU:1 [LOST 1472 EVENTS]                                                            trace_pipe, `trace`
 *   CPU:1 [1472 EVENTS DROPPED]                                                         trace-cmd report
 *
 * Source: kernel/trace/trace_output.c and trace.c (Linux 6.18). ftrace-line.ts parses the headers of lines; the files
 * of kvm/ and marker.ts scan the events' own text.
 */

import { latin1 } from '../../trace/names.js';
import { reportLoss } from '../../trace/report-loss.js';
import { type TraceSink, UNKNOWN_LOSS, type Vocabulary } from '../../trace/sink.js';
import type { TextScanner } from '../format/event-forms.js';
import { EVENT_FORMS } from '../kvm/events.js';
import { ascii, decimal, isDigit, skipDigits, skipSpaces, skipWord, startsWith } from '../text/bytes.js';
import { FtraceLine } from '../text/ftrace-line.js';
import { LineSplitter } from '../text/line-splitter.js';
import { isQemuMarker, MARKER_NAME, MARKER_TOKENS, marker } from './marker.js';

const COMMENT = 0x23;
const COLON = 0x3a;
const CPU_LINE = ascii('CPU:');
const LOST = ascii('LOST');
const EVENTS = ascii('EVENTS');
const UNNAMED = ascii('<...>');
const RAW_TYPE = ascii('type: ');

export class FtraceTextDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #sink: TraceSink;
  readonly #lines: LineSplitter;
  readonly #line = new FtraceLine();
  readonly #marker: number;
  /** Scanners by tracepoint id. */
  readonly #scanners: (TextScanner | undefined)[] = [];
  /** The threads that were reported to the sink, by tid. */
  readonly #threads = new Map<number, SeenThread>();
  #events = 0;
  #rawLines = 0;
  #bareLines = 0;

  constructor(vocabulary: Vocabulary, sink: TraceSink) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#marker = vocabulary.tracepoints.id(MARKER_NAME);
    for (const token of MARKER_TOKENS) {
      const bytes = ascii(token);
      vocabulary.tracepoints.teach(bytes, 0, bytes.length, this.#marker);
    }
    this.#scanners[this.#marker] = marker.text({ vocabulary, sink });
    for (const [name, { text }] of EVENT_FORMS)
      this.#scanners[vocabulary.tracepoints.id(name)] = text({ vocabulary, sink });
    this.#lines = new LineSplitter(
      (bytes, start, end) => this.#decodeLine(bytes, start, end),
      () => sink.malformed('line-too-long'),
      undefined,
      (bytes, start, end) => this.#decodeLastLine(bytes, start, end),
    );
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  /** Ends the input. A last line without a line end is decoded if its header is complete. */
  end(): void {
    this.#lines.end();
  }

  /** The number of events so far. */
  get events(): number {
    return this.#events;
  }

  /** The number of lines written with the option `raw`, without names and text: `175 0 13163980362 type: 1380`. */
  get rawLines(): number {
    return this.#rawLines;
  }

  /** The number of lines written with the option `nocontext-info`, without thread, CPU and time. */
  get bareLines(): number {
    return this.#bareLines;
  }

  #decodeLine(bytes: Uint8Array, start: number, end: number): void {
    if (start === end || bytes[start] === COMMENT) return;
    const line = this.#line;
    if (line.parse(bytes, start, end)) {
      this.#reportThread(bytes, line);
      this.#decodeEvent(bytes, end, line);
    } else if (startsWith(bytes, start, end, CPU_LINE)) {
      this.#reportLoss(bytes, start, end);
    } else if (line.parseBare(bytes, start, end) && this.#isKnown(bytes, line)) {
      this.#bareLines++;
      this.#decodeEvent(bytes, end, line);
    } else if (isRaw(bytes, start, end)) {
      this.#rawLines++;
    } else {
      this.#sink.malformed('line');
    }
  }

  #decodeLastLine(bytes: Uint8Array, start: number, end: number): void {
    if (start === end || bytes[start] === COMMENT) return;
    if (this.#line.parse(bytes, start, end)) this.#decodeLine(bytes, start, end);
    else this.#sink.malformed('truncated');
  }

  #decodeEvent(bytes: Uint8Array, end: number, line: FtraceLine): void {
    this.#events++;
    const { tracepoints } = this.#vocabulary;
    let name = tracepoints.find(bytes, line.eventStart, line.eventEnd);
    if (name < 0) name = this.#addName(bytes, end, line);
    this.#sink.tracepoint(line.timeNs, line.cpu, line.tid, name);
    const scan = this.#scanners[name];
    if (scan !== undefined && !scan(bytes, end, line)) this.#sink.malformed('arguments');
  }

  /** Adds an event name that was not seen before. An unknown name in front of a QEMU event stands for a marker. */
  #addName(bytes: Uint8Array, end: number, line: FtraceLine): number {
    const { tracepoints } = this.#vocabulary;
    const { eventStart, eventEnd } = line;
    if (!isQemuMarker(bytes, end, line)) return tracepoints.intern(bytes, eventStart, eventEnd);
    tracepoints.teach(bytes, eventStart, eventEnd, this.#marker);
    return this.#marker;
  }

  #reportThread(bytes: Uint8Array, line: FtraceLine): void {
    const seen = this.#threads.get(line.tid);
    const length = line.commEnd - line.commStart;
    if (seen !== undefined && seen.tgid === line.tgid && seen.length === length) {
      if (seen.first === bytes[line.commStart] && seen.last === bytes[line.commEnd - 1]) return;
    }
    if (this.#threads.size >= MAX_THREADS) this.#threads.clear();
    const first = bytes[line.commStart];
    const last = bytes[line.commEnd - 1];
    this.#threads.set(line.tid, { tgid: line.tgid, length, first, last });
    const unnamed = startsWith(bytes, line.commStart, line.commEnd, UNNAMED);
    this.#sink.thread(line.tid, line.tgid, unnamed ? '' : latin1(bytes, line.commStart, line.commEnd));
  }

  /** `CPU:0 [LOST 7025 EVENTS]`, or `CPU:0 [LOST EVENTS]` if the kernel does not know the number. */
  #reportLoss(bytes: Uint8Array, start: number, end: number): void {
    const cpuStart = start + CPU_LINE.length;
    const open = skipSpaces(bytes, skipDigits(bytes, cpuStart, end), end);
    let at = open + 1;
    if (startsWith(bytes, at, end, LOST)) at = skipSpaces(bytes, at + LOST.length, end);
    const known = isDigit(bytes[at]);
    const words = known ? skipSpaces(bytes, skipDigits(bytes, at, end), end) : at;
    const cpu = decimal(bytes, cpuStart, end);
    const count = known ? decimal(bytes, at, end) : UNKNOWN_LOSS;
    if (!startsWith(bytes, words, end, EVENTS) || cpu > MAX_CPU) this.#sink.malformed('line');
    else reportLoss(this.#sink, cpu, count, 'line');
  }

  #isKnown(bytes: Uint8Array, line: FtraceLine): boolean {
    const name = this.#vocabulary.tracepoints.find(bytes, line.eventStart, line.eventEnd);
    return name >= 0 || startsWith(bytes, line.eventStart, line.eventEnd, KVM_PREFIX);
  }
}

const KVM_PREFIX = ascii('kvm_');
/** More CPUs than a kernel can have. A line with a larger number is malformed. */
const MAX_CPU = 0xffff;
/** Limits the memory for thread names. */
const MAX_THREADS = 65536;

/** Enough of a thread's name to see that it changed. */
interface SeenThread {
  tgid: number;
  length: number;
  first: number | undefined;
  last: number | undefined;
}

/** True for a line that was written with the option `raw`. */
function isRaw(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (let field = 0; field < 3; field++) {
    const next = skipDigits(bytes, at, end);
    if (next === at) return false;
    at = skipSpaces(bytes, next, end);
  }
  return startsWith(bytes, at, end, RAW_TYPE);
}

/** True if a first chunk looks like one of the text forms: it has a line with a header, or the kernel's own heading. */
export function looksLikeFtraceText(head: Uint8Array): boolean {
  const line = new FtraceLine();
  let start = 0;
  for (let lines = 0; lines < 200 && start < head.length; lines++) {
    const newline = head.indexOf(0x0a, start);
    const end = newline < 0 ? head.length : newline;
    if (startsWith(head, start, end, TRACER)) return true;
    if (
      head[start] !== COMMENT &&
      (line.parse(head, start, end) || isRaw(head, start, end) || isBareKvmEvent(head, start, end))
    )
      return true;
    if (startsWith(head, start, end, CPU_LINE) && latin1(head, start, end).includes('EVENTS')) return true;
    start = end + 1;
  }
  return false;
}

const TRACER = ascii('# tracer:');

/** True for a KVM event that was written with the option `nocontext-info`. */
function isBareKvmEvent(bytes: Uint8Array, start: number, end: number): boolean {
  return startsWith(bytes, start, end, KVM_PREFIX) && bytes[skipWord(bytes, start, end) - 1] === COLON;
}
