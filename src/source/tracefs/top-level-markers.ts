/**
 * Reads QEMU's markers (ftrace backend) from the top-level buffer, for kernels that cannot copy them to our instance
 * (`copy_trace_marker` exists from 6.16 on). Reading takes them away from every other reader of that buffer, so the
 * user must ask for it. Markers that are in the buffer at the start are dropped, and so are all other events in it.
 */
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { QemuGate } from '../../trace/qemu-gate.js';
import type { ReaderKind } from '../../trace/reader-kinds.js';
import type { MalformedKind, TraceSink, Vocabulary } from '../../trace/sink.js';
import { enlargeTopLevelBuffer } from './control/top-level-buffer.js';
import { subBufferSize } from './control/tracefs-files.js';
import { readFormats } from './format-files.js';
import { RingBuffers } from './ring-buffers.js';
import { TextReader } from './text-reader.js';
import type { TraceReader } from './trace-reader.js';

export interface TopLevelMarkersOptions {
  readonly tracefs: string;
  readonly reader: ReaderKind;
  /** Minimum size of the buffer in bytes per CPU. */
  readonly bufferSize: number;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

export class TopLevelMarkers {
  readonly #reader: TraceReader;
  readonly #restoreSize: () => void;

  /** @throws AgentError if the buffer cannot be opened */
  constructor({ tracefs, reader, bufferSize, vocabulary, sink }: TopLevelMarkersOptions) {
    const markers = new MarkerSink(sink, vocabulary.tracepoints.id('tracing_mark_write'));
    // Only the formats of ftrace's own events are needed: all other events are dropped.
    const decoder = () => new RecordDecoder({ formats: readFormats(tracefs, ['ftrace']), vocabulary, sink: markers });
    this.#reader =
      reader === 'text'
        ? new TextReader(tracefs, vocabulary, markers)
        : new RingBuffers(tracefs, subBufferSize(tracefs), decoder());
    this.#restoreSize = enlargeTopLevelBuffer(tracefs, bufferSize);
    this.drain(performance.now() + DISCARD_MS, () => performance.now());
    markers.open = true;
  }

  /** True if time was up before the buffer was empty. */
  drain(deadlineMs: number, nowMs: () => number): boolean {
    // Up to any time: the clock of this buffer is not ours, so its stamps cannot be compared with the present time.
    return this.#reader.drain(Number.POSITIVE_INFINITY, deadlineMs, nowMs).behind;
  }

  openNewCpus(): void {
    this.#reader.openNewCpus();
  }

  close(): void {
    this.#reader.close();
    this.#restoreSize();
  }
}

/** Time limit for dropping what is in the buffer at the start. */
const DISCARD_MS = 1000;

/** Malformed input that the events of other programs in the buffer cause. */
const FOREIGN: readonly MalformedKind[] = ['unknown-event', 'line', 'line-too-long'];

/** Passes on QEMU's markers only. */
class MarkerSink extends QemuGate {
  readonly #sink: TraceSink;
  readonly #marker: number;

  constructor(sink: TraceSink, marker: number) {
    super(sink);
    this.#sink = sink;
    this.#marker = marker;
  }

  override tracepoint(timeNs: number, cpu: number, tid: number, name: number): void {
    if (this.open && name === this.#marker) this.#sink.tracepoint(timeNs, cpu, tid, name);
  }

  override gapAhead(cpu: number): void {
    if (this.open) this.#sink.gapAhead(cpu);
  }

  override malformed(kind: MalformedKind): void {
    if (!FOREIGN.includes(kind)) super.malformed(kind);
  }
}
