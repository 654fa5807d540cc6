/**
 * Decodes a trace of QEMU's simple backend, a binary file per process. Numbers have the byte order of the host; only
 * little-endian files can be read.
 *
 *   header   u64 0xffffffffffffffff, u64 0xf2b177cb0aa429b4, u64 version
 *   record   u64 event, u64 time in ns, u32 length, u32 pid, arguments      `length` counts these 24 bytes too
 *   mapping  u64 event, u32 length, name                                    version 4 only
 *
 *   01000000 00000000 70010000 00000000 72d4210e 0d020000 28000000 821b0000 01000000 00000000 02000000 00000000
 *   type 1            event 368         2255094928498 ns  length40 pid 7042 cpu_index 1       reason 2
 *
 * Sources: trace/simple.c and scripts/simpletrace.py of QEMU 1.x (version 2), 2.x (version 3) and 7.2 (version 4).
 *   2  events are numbered in the order of trace-events, without disabled ones; the field of the pid holds garbage
 *   3  events are numbered in the order of trace-events, with disabled ones; the pid is valid
 *   4  (QEMU 2.9 at the latest) each mapping or record follows a u64: 0 mapping, 1 record; mappings name the numbers,
 *      mostly at the beginning of the file
 * An argument is a u64; a string is a u32 length and its bytes. Event 0xfffffffffffffffe counts dropped events (a u64).
 * Time is the monotonic clock of the host. The arguments of kvm_run_exit are decoded here, those of some other events
 * by event-details.ts; the rest are ignored.
 *
 * Refused (see {@link QemuSimpleDecoder.problem}): version 0, unknown versions, big-endian files.
 *
 * A record that contradicts itself is counted as one `malformed('record')`. The format has no marks that show where a
 * record starts, so every following position is tried until one holds a mapping, or a record of a known event with the
 * last pid and a time within an hour of the last one.
 */
import { reportLoss } from '../../trace/report-loss.js';
import type { QemuSink, Vocabulary } from '../../trace/sink.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { qemuReasonLabel } from '../reasons/userspace.js';
import { emitSimpleDetail } from './event-details.js';
import { EventNumbers } from './event-numbers.js';
import {
  CORRUPT,
  FILE_HEADER,
  hasMagic,
  headerProblem,
  INCOMPLETE,
  isDropped,
  isEvent,
  MAX_EVENTS,
  MAX_RECORD,
  mappedName,
  mappingLength,
  RECORD_HEADER,
  readU64,
  TYPE,
} from './simple-layout.js';
import type { TraceEvents } from './trace-events.js';

export interface QemuSimpleOptions {
  /** Names the events of versions 2 and 3. */
  readonly traceEvents?: TraceEvents;
}

const NUMBERED =
  'a simple trace that numbers its events instead of naming them; give the trace-events-all of the QEMU that writes it: --qemu.trace-events=FILE';

const TYPE_MAPPING = 0;
const TYPE_RECORD = 1;
const RUN_EXIT_LENGTH = RECORD_HEADER + 16;
const DROPPED_LENGTH = RECORD_HEADER + 8;
const RESUME_WITHIN_NS = 3600e9;

/** True if a file that begins like this is a simple trace, readable or not. */
export function looksLikeSimpleTrace(head: Uint8Array): boolean {
  if (head.length < FILE_HEADER) return false;
  const view = new DataView(head.buffer, head.byteOffset, FILE_HEADER);
  return hasMagic(view, true) || hasMagic(view, false);
}

export class QemuSimpleDecoder {
  readonly #vocabulary: Vocabulary;
  readonly #sink: QemuSink;
  readonly #traceEvents: TraceEvents | undefined;
  readonly #reasons: ReasonInterner;
  readonly #runExit: number;
  readonly #numbers: EventNumbers;
  #version: number | undefined;
  #problem: string | undefined;
  /** Bytes of the type before each mapping and record; 0 before version 4. */
  #typeLength = 0;
  /** Bytes at the end of the last chunk that the next chunk completes. */
  #rest = new Uint8Array(0);
  /** True after a corrupt record, until the next plausible one is found. */
  #searching = false;
  #lastTimeNs = Number.NaN;
  #lastPid = -1;

  constructor(vocabulary: Vocabulary, sink: QemuSink, options: QemuSimpleOptions = {}) {
    this.#vocabulary = vocabulary;
    this.#sink = sink;
    this.#traceEvents = options.traceEvents;
    this.#reasons = new ReasonInterner(vocabulary.reasons, qemuReasonLabel);
    this.#runExit = vocabulary.qemuEvents.id('kvm_run_exit');
    this.#numbers = new EventNumbers(vocabulary);
  }

  /**
   * Reason why nothing of this file can be read, as the rest of a message that begins with the file's name; undefined
   * if it can.
   */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** {@link problem}, or a request for the missing list of events; undefined if events can be counted by name. */
  get unusable(): string | undefined {
    return this.#problem ?? (this.needsTraceEvents ? NUMBERED : undefined);
  }

  /** 2, 3 or 4; undefined until the header was read. */
  get version(): number | undefined {
    return this.#version;
  }

  /** True if the file numbers its events by a list that was not given: all events count as unknown. */
  get needsTraceEvents(): boolean {
    return this.#version !== undefined && this.#version < 4 && this.#traceEvents === undefined;
  }

  push(chunk: Uint8Array): void {
    const kept = this.#rest.length;
    if (kept === 0) {
      this.#keep(chunk, this.#decode(chunk, 0));
      return;
    }
    // Takes as much of the chunk as the piece that was cut can need.
    const joined = new Uint8Array(kept + Math.min(chunk.length, MAX_RECORD + TYPE));
    joined.set(this.#rest);
    joined.set(chunk.subarray(0, joined.length - kept), kept);
    const used = this.#decode(joined, 0);
    if (used < kept) this.#keep(joined, used);
    else this.#keep(chunk, this.#decode(chunk, used - kept));
  }

  /** To be called at the end of the input. */
  end(): void {
    const cut = this.#rest.length > 0 && !this.#searching;
    this.#rest = new Uint8Array(0);
    if (!cut || this.#problem !== undefined) return;
    this.#sink.malformed('truncated');
    if (this.#version === undefined) this.#problem = 'too short for a simple trace of QEMU';
  }

  /** To be called where a part of the input is missing. The next chunk may begin anywhere in a record. */
  gap(): void {
    this.#rest = new Uint8Array(0);
    this.#searching = true;
    this.#lastTimeNs = Number.NaN;
  }

  #keep(bytes: Uint8Array, from: number): void {
    // A copy: Buffer.slice() returns a view, and the caller reuses its buffer.
    this.#rest = new Uint8Array(bytes.subarray(from));
  }

  /** Decodes whole mappings and records from `start` on. Returns the position of the first one that is not complete. */
  #decode(bytes: Uint8Array, start: number): number {
    if (this.#problem !== undefined) return bytes.length;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = start;
    if (this.#version === undefined) {
      if (bytes.length < FILE_HEADER) return at;
      if (!this.#header(view)) return bytes.length;
      at = FILE_HEADER;
    }
    while (at < bytes.length) {
      const length = this.#searching ? this.#resume(bytes, view, at) : this.#piece(bytes, view, at);
      if (length === INCOMPLETE) break;
      if (length > 0) {
        at += length;
        continue;
      }
      if (!this.#searching) this.#sink.malformed('record');
      this.#searching = true;
      at++;
    }
    return at;
  }

  #header(view: DataView): boolean {
    this.#problem = headerProblem(view);
    if (this.#problem !== undefined) {
      this.#sink.malformed('file-header');
      return false;
    }
    const version = readU64(view, 16);
    this.#version = version;
    this.#typeLength = version === 4 ? TYPE : 0;
    if (version !== 4) this.#numberEvents(version === 2);
    return true;
  }

  #numberEvents(enabledOnly: boolean): void {
    let number = 0;
    for (const { name, disabled } of this.#traceEvents?.events ?? []) {
      if (enabledOnly && disabled) continue;
      if (number < MAX_EVENTS) this.#numbers.mapText(number++, name);
    }
  }

  /** Decodes the mapping or record at `at`. Returns its length, {@link INCOMPLETE} or {@link CORRUPT}. */
  #piece(bytes: Uint8Array, view: DataView, at: number): number {
    const body = at + this.#typeLength;
    if (this.#typeLength > 0) {
      if (bytes.length < body) return INCOMPLETE;
      const type = view.getUint32(at, true);
      if (type > TYPE_RECORD || view.getUint32(at + 4, true) !== 0) return CORRUPT;
      if (type === TYPE_MAPPING) return this.#mapping(bytes, view, at);
    }
    if (bytes.length < body + RECORD_HEADER) return INCOMPLETE;
    const length = view.getUint32(body + 16, true);
    if (length < RECORD_HEADER || length > MAX_RECORD || !isEvent(view, body)) return CORRUPT;
    if (bytes.length < body + length) return INCOMPLETE;
    this.#record(view, body, length);
    return this.#typeLength + length;
  }

  #mapping(bytes: Uint8Array, view: DataView, at: number): number {
    const length = mappingLength(bytes, view, at);
    if (length > 0) this.#numbers.map(view.getUint32(at + TYPE, true), bytes, mappedName(at), at + length);
    return length;
  }

  #record(view: DataView, at: number, length: number): void {
    const timeNs = readU64(view, at + 8);
    const pid = this.#version === 2 ? 0 : view.getUint32(at + 20, true);
    this.#lastTimeNs = timeNs;
    this.#lastPid = pid;
    if (isDropped(view, at)) {
      if (length < DROPPED_LENGTH) this.#sink.malformed('arguments');
      else reportLoss(this.#sink, -1, readU64(view, at + RECORD_HEADER), 'arguments');
      return;
    }
    const event = this.#numbers.eventId(view.getUint32(at, true));
    if (event < 0) {
      this.#sink.malformed('unknown-event');
      return;
    }
    this.#sink.qemuEvent(timeNs, pid, event);
    if (event === this.#runExit) this.#runExited(view, at, length, timeNs, pid);
    else emitSimpleDetail(view, at + RECORD_HEADER, at + length, timeNs, pid, event, this.#vocabulary, this.#sink);
  }

  #runExited(view: DataView, at: number, length: number, timeNs: number, pid: number): void {
    if (length < RUN_EXIT_LENGTH) {
      this.#sink.malformed('arguments');
      return;
    }
    // Both arguments are 32 bits wide (int, uint32_t) and stored as 64: the low half is the value.
    const cpuIndex = Math.max(-1, view.getInt32(at + RECORD_HEADER, true));
    const reason = this.#reasons.id(view.getUint32(at + RECORD_HEADER + 8, true));
    this.#sink.qemuRunExit(timeNs, pid, cpuIndex, reason);
  }

  /** Like {@link #piece}, but {@link CORRUPT} unless the piece is plausible. Ends the search if it is. */
  #resume(bytes: Uint8Array, view: DataView, at: number): number {
    const length = this.#plausibleLength(bytes, view, at);
    if (length <= 0) return length;
    this.#searching = false;
    return this.#piece(bytes, view, at);
  }

  /** Length of a plausible mapping or record at `at`, {@link INCOMPLETE} or {@link CORRUPT}. */
  #plausibleLength(bytes: Uint8Array, view: DataView, at: number): number {
    const body = at + this.#typeLength;
    if (bytes.length < body + 8) return INCOMPLETE;
    if (this.#typeLength > 0) {
      const type = view.getUint32(at, true);
      if (type > TYPE_RECORD || view.getUint32(at + 4, true) !== 0) return CORRUPT;
      if (type === TYPE_MAPPING) return mappingLength(bytes, view, at);
    }
    if (!isEvent(view, body) || !this.#isNamed(view, body)) return CORRUPT;
    if (bytes.length < body + RECORD_HEADER) return INCOMPLETE;
    const length = view.getUint32(body + 16, true);
    if (length < RECORD_HEADER || length > MAX_RECORD) return CORRUPT;
    if (this.#version !== 2 && this.#lastPid >= 0 && view.getUint32(body + 20, true) !== this.#lastPid) return CORRUPT;
    // Before the first record the last time is NaN, and the comparison is false.
    return Math.abs(readU64(view, body + 8) - this.#lastTimeNs) > RESUME_WITHIN_NS ? CORRUPT : length;
  }

  #isNamed(view: DataView, at: number): boolean {
    return this.needsTraceEvents || isDropped(view, at) || this.#numbers.isNamed(view.getUint32(at, true));
  }
}
