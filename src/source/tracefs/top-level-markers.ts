/**
 * QEMU's markers (ftrace backend) where the kernel cannot copy them to our instance (`copy_trace_marker`, from 6.16
 * on): read from the top-level buffer, which takes them away from anyone else who reads it. So only where the user asks
 * for it. What is in the buffer already when this begins is thrown away.
 *
 * Whatever else is in that buffer is nobody's business here: it is read past, and not counted.
 */
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { QemuGate } from '../../trace/qemu-gate.js';
import type { MalformedKind, TraceSink, Vocabulary } from '../../trace/sink.js';
import { readFormats } from './format-files.js';
import type { ReaderKind } from './reader-kinds.js';
import { RingBuffers } from './ring-buffers.js';
import { TextReader } from './text-reader.js';
import { enlargeTopLevelBuffer } from './top-level-buffer.js';
import type { TraceReader } from './trace-reader.js';
import { subBufferSize } from './tracefs-files.js';

export interface TopLevelMarkersOptions {
  readonly tracefs: string;
  readonly reader: ReaderKind;
  /** Bytes per CPU that it is to have at least. */
  readonly bufferSize: number;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

export class TopLevelMarkers {
  readonly #reader: TraceReader;
  readonly #shrink: () => void;

  /** @throws AgentError where the buffer can't be opened */
  constructor({ tracefs, reader, bufferSize, vocabulary, sink }: TopLevelMarkersOptions) {
    const markers = new MarkerSink(sink, vocabulary.tracepoints.id('tracing_mark_write'));
    // Of the other events not even the formats are read.
    const decoder = () => new RecordDecoder({ formats: readFormats(tracefs, ['ftrace']), vocabulary, sink: markers });
    this.#reader =
      reader === 'text'
        ? new TextReader(tracefs, vocabulary, markers)
        : new RingBuffers(tracefs, subBufferSize(tracefs), decoder());
    this.#shrink = enlargeTopLevelBuffer(tracefs, bufferSize);
    this.drain(performance.now() + PAST_MS, () => performance.now());
    markers.open = true;
  }

  /**
   * True where there was more than the time allowed to read. The buffer's clock is not ours to choose: everything is
   * taken.
   */
  drain(deadlineMs: number, nowMs: () => number): boolean {
    return this.#reader.drain(Number.POSITIVE_INFINITY, deadlineMs, nowMs).behind;
  }

  openNewCpus(): void {
    this.#reader.openNewCpus();
  }

  close(): void {
    this.#reader.close();
    this.#shrink();
  }
}

/** How long it may take to throw away what is in the buffer already. */
const PAST_MS = 1000;

const NOT_OURS: readonly MalformedKind[] = ['unknown-event', 'line', 'line-too-long'];

/** Passes on QEMU's markers alone. */
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
    if (!NOT_OURS.includes(kind)) super.malformed(kind);
  }
}
