import type { MalformedKind, TraceSink } from '../../trace/sink.js';
import { ControlRecords } from './control-records.js';
import { MIN_ATTR, type PerfAttr, readU64 } from './perf-attr.js';
import type { PerfAttrs } from './perf-attrs.js';
import type { RecordBlock } from './record-block.js';
import { RecordStream, type StreamOwner } from './record-stream.js';
import { SampleDecoder, type SampleDecoderOptions } from './sample-decoder.js';
import { ThreadNames } from './thread-names.js';
import { type RecordReceiver, TimeOrder } from './time-order.js';
import { UnpackedStream } from './unpacked-stream.js';

// Record types, beside those of record-stream.ts and control-records.ts.
const THROTTLE = 5;
const LOST_SAMPLES = 13;
const HEADER_ATTR = 64;
const HEADER_TRACING_DATA = 66;
const FINISHED_ROUND = 68;
const AUXTRACE = 71;
const COMPRESSED = 81;
const COMPRESSED2 = 83;

/** PERF_RECORD_MISC_LOST_SAMPLES_BPF (tools/lib/perf/include/perf/event.h): a filter of the user's dropped them. */
const DROPPED_BY_FILTER = 1 << 15;
const HEADER = 8;
const U64 = 8;
const MAX_TRACING_DATA = 1 << 26;

type RecordHandler = (stream: RecordStream, view: DataView, at: number, end: number) => void;

/** Decodes the records of a perf.data: puts them in order, and reports them to a sink. */
export class PerfDecoder implements StreamOwner, RecordReceiver {
  readonly attrs: PerfAttrs;
  readonly order: TimeOrder;
  /** Number of times that the kernel stopped recording an event for a while, because it came too often. */
  throttles = 0;
  /** True if compressed records are damaged: nothing behind them can be unpacked. */
  isDamaged = false;
  /** True if too many records waited for older ones, and were delivered before them. */
  isOutOfOrder = false;
  readonly #sink: TraceSink;
  readonly #samples: SampleDecoder;
  readonly #threads: ThreadNames;
  readonly #control: ControlRecords;
  readonly #streams: RecordStream[] = [];
  /** Stream -> the stream inside of its compressed records. */
  readonly #unpacked = new Map<RecordStream, UnpackedStream>();
  /** Latest time before the current round. */
  #lastRoundNs = Number.NEGATIVE_INFINITY;
  /** Events that PERF_RECORD_LOST_SAMPLES reports. */
  #lostSamples = 0;

  /** @param maxBlocks how many blocks of 256 KiB may wait for older records */
  constructor(options: SampleDecoderOptions, maxBlocks?: number) {
    this.attrs = options.attrs;
    this.order = new TimeOrder(this, maxBlocks);
    this.#sink = options.sink;
    this.#samples = new SampleDecoder(options);
    this.#threads = new ThreadNames(options.sink);
    this.#control = new ControlRecords(this.attrs, this.#threads, options.sink);
  }

  /** Reason why the file as a whole cannot be used, and what to do; nothing more is read then. */
  get unusable(): string | undefined {
    return this.#samples.unusable;
  }

  get isUnusable(): boolean {
    return this.#samples.unusable !== undefined;
  }

  /** Number of samples reported so far. */
  get sampleCount(): number {
    return this.#samples.count;
  }

  /** Opens a sequence of records: a file has one, a directory of `perf record --threads` one for each CPU. */
  openStream(): RecordStream {
    const stream = new RecordStream(this);
    this.#streams.push(stream);
    return stream;
  }

  /** Delivers everything up to `untilNs`, before which nothing more will come. */
  deliver(untilNs: number): void {
    if (!this.isUnusable) this.order.deliver(untilNs);
  }

  /** Delivers the rest. Call it at the end of all streams. */
  end(): void {
    for (const { records } of this.#unpacked.values()) records.end();
    for (const stream of this.#streams) stream.end();
    this.#samples.bind();
    this.deliver(Number.POSITIVE_INFINITY);
    // Both kinds of records report the same losses. perf adds PERF_RECORD_LOST_SAMPLES since 6.1, when it ends.
    const more = this.#lostSamples - this.#control.lost;
    if (more > 0) this.#sink.lost(-1, more);
  }

  /** Names of KVM's tracepoints with this property. */
  namesOf(property: 'isSampled' | 'isCountedOnly'): string[] {
    return this.#samples.namesOf(property);
  }

  /** The latest time in a stream. */
  latestNsOf(stream: RecordStream): number {
    return Math.max(stream.latestNs, this.#unpacked.get(stream)?.records.latestNs ?? Number.NEGATIVE_INFINITY);
  }

  eventOf(id: number): PerfAttr | undefined {
    const attr = this.attrs.find(id);
    if (attr?.hasRecords === true) this.#samples.bind();
    return attr;
  }

  isWatched(eventId: number): boolean {
    return this.#samples.isKvm(eventId);
  }

  seeThread(tid: number, pid: number, hostTid: number): void {
    this.#threads.see(tid, pid, hostTid);
  }

  malformed(kind: MalformedKind): void {
    this.#sink.malformed(kind);
  }

  makeRoom(): void {
    this.deliver(this.#lastRoundNs);
    if (!this.order.isFull) return;
    this.isOutOfOrder = true;
    this.deliver(Number.POSITIVE_INFINITY);
  }

  record(stream: RecordStream, type: number, view: DataView, at: number, end: number): void {
    this.#handlers.get(type)?.(stream, view, at, end);
  }

  samples(block: RecordBlock, first: number, last: number, cpu: number): void {
    this.#samples.report(block, first, last, cpu);
  }

  control(block: RecordBlock, index: number): void {
    this.#control.read(block, index);
  }

  readonly #handlers: ReadonlyMap<number, RecordHandler> = new Map<number, RecordHandler>([
    [THROTTLE, () => this.throttles++],
    [LOST_SAMPLES, (_stream, view, at, end) => this.#addLostSamples(view, at, end)],
    [HEADER_ATTR, (_stream, view, at, end) => this.#addAttr(view, at + HEADER, end)],
    [HEADER_TRACING_DATA, (stream, view, at, end) => this.#expectTracingData(stream, view, at + HEADER, end)],
    [FINISHED_ROUND, () => this.#finishRound()],
    [AUXTRACE, (stream, view, at, end) => this.#skipAuxtrace(stream, view, at + HEADER, end)],
    [COMPRESSED, (stream, view, at, end) => this.#unpack(stream, view, at + HEADER, end)],
    [COMPRESSED2, (stream, view, at, end) => this.#unpackSized(stream, view, at + HEADER, end)],
  ]);

  #addLostSamples(view: DataView, at: number, end: number): void {
    if ((view.getUint16(at + 4, true) & DROPPED_BY_FILTER) !== 0) return;
    const count = u64At(view, at + HEADER, end);
    if (count <= Number.MAX_SAFE_INTEGER - this.#lostSamples) this.#lostSamples += count;
    else this.malformed('record');
  }

  /** struct perf_event_attr, which begins with its type and its size, then ids of the event. */
  #addAttr(view: DataView, at: number, end: number): void {
    const size = end - at < MIN_ATTR ? Number.NaN : Math.max(MIN_ATTR, view.getUint32(at + 4, true));
    if (at + size <= end) this.attrs.add(view, at, { from: at + size, to: end });
    else this.malformed('record');
  }

  /** u32 size; the data follow, padded to 8 bytes. */
  #expectTracingData(stream: RecordStream, view: DataView, at: number, end: number): void {
    const size = end - at < 4 ? Number.NaN : view.getUint32(at, true);
    if (!(size <= MAX_TRACING_DATA)) return stream.breakOff('record');
    stream.expectExtra(Math.ceil(size / U64) * U64, (bytes) => {
      this.#samples.tracingData = bytes;
    });
  }

  /** perf has emptied the buffers of all CPUs once. What was older than the round before is complete. */
  #finishRound(): void {
    this.deliver(this.#lastRoundNs);
    for (const stream of this.#streams) this.#lastRoundNs = Math.max(this.#lastRoundNs, this.latestNsOf(stream));
  }

  /** u64 size of the data that follow. */
  #skipAuxtrace(stream: RecordStream, view: DataView, at: number, end: number): void {
    const size = u64At(view, at, end);
    if (Number.isNaN(size)) stream.breakOff('record');
    else stream.expectExtra(size);
  }

  /** u64 size, the packed bytes, and padding. */
  #unpackSized(stream: RecordStream, view: DataView, at: number, end: number): void {
    const packedEnd = at + U64 + u64At(view, at, end);
    if (packedEnd <= end) this.#unpack(stream, view, at + U64, packedEnd);
    else this.malformed('record');
  }

  #unpack(stream: RecordStream, { buffer }: DataView, start: number, end: number): void {
    let unpacked = this.#unpacked.get(stream);
    if (unpacked === undefined) {
      // Compressed records hold no compressed records.
      if (!this.#streams.includes(stream)) return this.malformed('record');
      unpacked = new UnpackedStream(new RecordStream(this));
      this.#unpacked.set(stream, unpacked);
    }
    if (unpacked.push(new Uint8Array(buffer, start, end - start)) || this.isDamaged) return;
    this.isDamaged = true;
    this.malformed('truncated');
  }
}

/** NaN if the record ends before. */
function u64At(view: DataView, at: number, end: number): number {
  return end - at < U64 ? Number.NaN : readU64(view, at);
}
