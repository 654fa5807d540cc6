/**
 * The live trace of the kernel: a tracing instance, its events, and a reader of its buffers.
 *
 * Reading `trace_pipe` as text costs the kernel about forty times as much per event, because it formats each line. So
 * text is only for kernels whose binary pages cannot be decoded, and for comparison.
 */
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { AgentError } from '../../system/errors.js';
import type { ReaderKind } from '../../trace/reader-kinds.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { readOverruns } from './cpu-stats.js';
import { readFormats, systemsOf } from './format-files.js';
import { RingBuffers } from './ring-buffers.js';
import { selectEvents } from './select-events.js';
import { TextReader } from './text-reader.js';
import { TraceClock } from './trace-clock.js';
import type { Drained, TraceReader } from './trace-reader.js';
import { TracingInstance } from './tracing-instance.js';

export interface KernelTraceOptions {
  /** Mount point of tracefs. */
  readonly tracefs: string;
  /** Name of the instance to make. */
  readonly instance: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** Patterns of tracepoints: `system:event`, `kvm:*`. Undefined: {@link neededEvents}. */
  readonly events: readonly string[] | undefined;
  /** Tracepoints of kvm to switch on, as far as this kernel has them. */
  readonly neededEvents?: readonly string[];
  readonly reader: ReaderKind;
  /** Copies QEMU's markers to the instance, if the kernel can. */
  readonly markers?: boolean;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

export class KernelTrace {
  readonly instance: TracingInstance;
  readonly reader: Exclude<ReaderKind, 'auto'>;
  /** The tracepoints that are on. */
  readonly events: readonly string[];
  /** Reason why `auto` chose text; undefined if it did not. */
  readonly fallback: string | undefined;
  readonly #reader: TraceReader | undefined;
  readonly #clock: TraceClock | undefined;

  /** @throws AgentError that says what is missing; the host is unchanged then */
  constructor(options: KernelTraceOptions) {
    const { tracefs, instance, bufferSize, markers = false } = options;
    this.events = selectEvents(tracefs, options.events, options.neededEvents);
    this.instance = TracingInstance.make(tracefs, { name: instance, bufferSize, markers });
    try {
      const { reader, kind, fallback } = openReader(this.instance, this.events, options);
      this.#reader = reader;
      this.#clock = new TraceClock(this.instance.path);
      this.reader = kind;
      this.fallback = fallback;
      this.instance.start(this.events);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Delivers the events that have happened by now; see {@link TraceReader.drain}. */
  drain(deadlineMs: number, nowMs: () => number): Drained {
    if (this.#reader === undefined || this.#clock === undefined) return { mostBytes: 0, behind: false };
    return this.#reader.drain(this.#clock.nowNs(), deadlineMs, nowMs);
  }

  openNewCpus(): void {
    this.#reader?.openNewCpus();
  }

  /** Reason why the instance must be made again; undefined while it works. */
  get ended(): string | undefined {
    if (!this.instance.isTracing(this.events))
      return 'the events of our tracing instance were switched off, the kvm module was unloaded, or tracefs was unmounted';
    if (!this.instance.clockIsShared)
      return 'the kernel marked the TSC unstable, so time stamps of different CPUs are no longer comparable; switching to the mono clock';
    return undefined;
  }

  /** Events that the kernel overwrote or dropped since the start, by CPU. */
  overruns(): Map<number, number> {
    return readOverruns(this.instance.path);
  }

  /** Leaves the host as it was found. */
  close(): void {
    this.#reader?.close();
    this.#clock?.close();
    this.instance.remove();
  }
}

function openReader(
  instance: TracingInstance,
  events: readonly string[],
  { tracefs, vocabulary, sink, reader: kind }: KernelTraceOptions,
): { reader: TraceReader; kind: 'binary' | 'text'; fallback?: string } {
  if (kind === 'text') return { reader: new TextReader(instance.path, vocabulary, sink), kind };
  try {
    const formats = readFormats(tracefs, systemsOf(events));
    const decoder = new RecordDecoder({ formats, vocabulary, sink });
    return { reader: new RingBuffers(instance.path, instance.subBufferSize, decoder), kind: 'binary' };
  } catch (error) {
    if (kind === 'binary' || !(error instanceof AgentError)) throw error;
    return { reader: new TextReader(instance.path, vocabulary, sink), kind: 'text', fallback: error.message };
  }
}
