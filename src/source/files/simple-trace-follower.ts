/**
 * Follows a simple trace of QEMU that grows. QEMU writes when a quarter of its 256 KiB buffer is full, so the events of
 * a quiet VM come minutes late (`trace-file flush` in QEMU's monitor writes them at once).
 *
 * The start of the file names the numbers of its events, so it is read from the start even if only new events count. A
 * file that was truncated has a header again and is read from the start.
 */
import { fstatSync, readSync } from 'node:fs';
import { QemuSimpleDecoder } from '../../decode/qemu/simple-decoder.js';
import { FILE_HEADER } from '../../decode/qemu/simple-layout.js';
import type { TraceEvents } from '../../decode/qemu/trace-events.js';
import { QemuGate } from '../../trace/qemu-gate.js';
import { type QemuSink, UNKNOWN_LOSS, type Vocabulary } from '../../trace/sink.js';
import { type FileFollower, MAX_BACKLOG, skipBacklog } from './file-follower.js';

export interface SimpleTraceFollowerOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: QemuSink;
  /** The list that names the events. Called only for a version that does not name them itself. */
  readonly traceEvents: () => TraceEvents | undefined;
  /** True if events that are in the file at the start do not count. */
  readonly fromEnd: boolean;
  /** Called with the reason if the file cannot be used. */
  readonly onProblem: (problem: string) => void;
}

/** The names of all events of a QEMU, at the start of a file, fit in. */
const CHUNK_BYTES = 1 << 18;
/** Shared by all followers: each chunk is decoded before the next is read. */
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

export class SimpleTraceFollower implements FileFollower {
  readonly #fd: number;
  readonly #options: SimpleTraceFollowerOptions;
  readonly #gate: QemuGate;
  #decoder: QemuSimpleDecoder | undefined;
  #position = 0;
  /** Position from which events count. */
  #countFrom: number;
  #size = 0;
  #activeMs: number;
  #unusable = false;
  bytesRead = 0;
  readonly pendingBytes = 0;

  constructor(fd: number, options: SimpleTraceFollowerOptions, nowMs: number) {
    this.#fd = fd;
    this.#options = options;
    this.#countFrom = options.fromEnd ? fstatSync(fd).size : 0;
    this.#gate = new QemuGate(options.sink);
    this.#activeMs = nowMs;
  }

  get activeMs(): number {
    return this.#activeMs;
  }

  get busy(): boolean {
    return !this.#unusable && this.#position < this.#size;
  }

  poll(nowMs: number, deadlineMs: number): void {
    const stat = fstatSync(this.#fd);
    this.#size = stat.size;
    if (this.#size < this.#position) this.#restart();
    // The beginning of the file names its events.
    if (this.#position > 0 && this.#size - this.#position > MAX_BACKLOG) this.#skipTo(skipBacklog(stat));
    if (this.#unusable || (this.#position === 0 && this.#size < FILE_HEADER)) return;
    while (this.#position < this.#size) {
      if (!this.#decodeChunk()) return;
      this.#activeMs = nowMs;
      if (performance.now() > deadlineMs) return;
    }
  }

  close(): void {
    this.#decoder?.end();
    this.#decoder = undefined;
    this.#unusable = true;
  }

  /**
   * Decodes one chunk, which does not extend over {@link #countFrom}. False if nothing was read or the file cannot be
   * used.
   */
  #decodeChunk(): boolean {
    const uncounted = this.#countFrom - this.#position;
    const wanted = uncounted > 0 ? Math.min(CHUNK_BYTES, uncounted) : CHUNK_BYTES;
    const length = readSync(this.#fd, chunk, 0, wanted, this.#position);
    if (length === 0) return false;
    this.#decoder ??= this.#createDecoder(chunk.subarray(0, length));
    this.#gate.open = uncounted <= 0;
    this.#position += length;
    this.bytesRead += length;
    this.#decoder.push(chunk.subarray(0, length));
    const { unusable } = this.#decoder;
    if (unusable === undefined) return true;
    this.#unusable = true;
    this.#options.onProblem(unusable);
    return false;
  }

  #createDecoder(head: Buffer): QemuSimpleDecoder {
    const version = head.length < FILE_HEADER ? 4 : head.readUInt32LE(16);
    const traceEvents = version < 4 ? this.#options.traceEvents() : undefined;
    return new QemuSimpleDecoder(this.#options.vocabulary, this.#gate, traceEvents ? { traceEvents } : {});
  }

  #skipTo(position: number): void {
    this.#position = position;
    this.#decoder?.gap();
    if (position > this.#countFrom) this.#options.sink.lost(-1, UNKNOWN_LOSS);
  }

  #restart(): void {
    this.#decoder?.end();
    this.#decoder = undefined;
    this.#position = 0;
    this.#countFrom = 0;
    this.#unusable = false;
    this.#options.sink.lost(-1, UNKNOWN_LOSS);
  }
}
