/**
 * A simple trace of QEMU that grows. QEMU writes blocks when a quarter of its 256 KiB buffer is full: a quiet VM's
 * events come minutes late (`trace-file flush` in its monitor hastens them).
 *
 * The numbers of its events are named at the file's beginning, so it is read from there even where only what comes from
 * now on is to be counted. A file that was truncated has a header again, and starts anew.
 */
import { fstatSync, readSync } from 'node:fs';
import { QemuSimpleDecoder } from '../../decode/qemu/simple-decoder.js';
import { FILE_HEADER } from '../../decode/qemu/simple-layout.js';
import type { TraceEvents } from '../../decode/qemu/trace-events.js';
import { QemuGate } from '../../trace/qemu-gate.js';
import { type QemuSink, UNKNOWN_LOSS, type Vocabulary } from '../../trace/sink.js';
import type { InodeReader } from './followed-file.js';

export interface SimpleReaderOptions {
  readonly vocabulary: Vocabulary;
  readonly sink: QemuSink;
  /** What the numbers mean in a version that does not name them. Asked for only then. */
  readonly traceEvents: () => TraceEvents | undefined;
  /** The events that are in the file already happened before anyone was to count them. */
  readonly fromEnd: boolean;
  /** Nothing of the file can be used, and why. */
  readonly onProblem: (problem: string) => void;
}

const CHUNK = 1 << 18;
const chunk = Buffer.allocUnsafeSlow(CHUNK);

export class SimpleReader implements InodeReader {
  readonly #fd: number;
  readonly #options: SimpleReaderOptions;
  readonly #gate: QemuGate;
  #decoder: QemuSimpleDecoder | undefined;
  #position = 0;
  #countFrom: number;
  #size = 0;
  #activeMs: number;
  #unusable = false;
  bytesRead = 0;

  constructor(fd: number, options: SimpleReaderOptions, nowMs: number) {
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
    this.#size = fstatSync(this.#fd).size;
    if (this.#size < this.#position) this.#startAnew();
    if (this.#unusable || (this.#position === 0 && this.#size < FILE_HEADER)) return;
    while (this.#position < this.#size) {
      if (!this.#read()) return;
      this.#activeMs = nowMs;
      if (performance.now() > deadlineMs) return;
    }
  }

  close(): void {
    this.#decoder?.end();
    this.#decoder = undefined;
    this.#unusable = true;
  }

  /** Decodes a piece; one that ends where counting begins. False: there is none. */
  #read(): boolean {
    const before = this.#countFrom - this.#position;
    const length = readSync(this.#fd, chunk, 0, before > 0 ? Math.min(CHUNK, before) : CHUNK, this.#position);
    if (length === 0) return false;
    this.#decoder ??= this.#newDecoder(chunk.subarray(0, length));
    this.#gate.open = before <= 0;
    this.#position += length;
    this.bytesRead += length;
    this.#decoder.push(chunk.subarray(0, length));
    const { unusable } = this.#decoder;
    if (unusable === undefined) return true;
    this.#unusable = true;
    this.#options.onProblem(unusable);
    return false;
  }

  #newDecoder(head: Buffer): QemuSimpleDecoder {
    const version = head.length < FILE_HEADER ? 4 : head.readUInt32LE(16);
    const traceEvents = version < 4 ? this.#options.traceEvents() : undefined;
    return new QemuSimpleDecoder(this.#options.vocabulary, this.#gate, traceEvents ? { traceEvents } : {});
  }

  #startAnew(): void {
    this.#decoder?.end();
    this.#decoder = undefined;
    this.#position = 0;
    this.#countFrom = 0;
    this.#unusable = false;
    this.#options.sink.lost(-1, UNKNOWN_LOSS);
  }
}
