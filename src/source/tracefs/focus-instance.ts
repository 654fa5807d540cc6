import { MARKER_NAME } from '../../decode/ftrace/marker.js';
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { SwitchedSink } from '../../trace/switched-sink.js';
import { FocusedThreads } from './control/focused-threads.js';
import { readFormats, systemsOf } from './format-files.js';
import { RingBuffers } from './ring-buffers.js';
import type { OnForeignRead } from './trace-reader.js';
import { type InstanceOptions, TracingInstance } from './tracing-instance.js';

/** The instance whose sampled events are on in windows only. */
export interface SampledInstance {
  readonly instance: TracingInstance;
  /** Its tracepoints, as `system:event`. */
  readonly events: readonly string[];
  /** Those of them that are sampled. */
  readonly sampled: readonly string[];
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

/**
 * A second tracing instance, which records the sampled events of chosen threads between windows too. Of the two
 * instances, one delivers sampled events at a time:
 *
 *   first    |          |== all threads ==|            |
 *   second   |= chosen =|                 |= chosen ===|
 *                     window
 */
export class FocusInstance {
  readonly #instance: TracingInstance;
  readonly #threads: FocusedThreads;
  readonly #first: SampledInstance;
  readonly #sink: SwitchedSink;
  readonly #firstSink: SwitchedSink;

  /** @throws AgentError if the instance cannot be made; the host is unchanged then */
  constructor(tracefs: string, options: InstanceOptions, first: SampledInstance) {
    const { events, sampled, vocabulary, sink } = first;
    this.#first = first;
    const always = events.filter((event) => !sampled.includes(event)).map((event) => event.replace(/^.*:/, ''));
    const ids = new Set([...always, MARKER_NAME].map((name) => vocabulary.tracepoints.id(name)));
    this.#firstSink = new SwitchedSink(sink, false, ids);
    this.#sink = new SwitchedSink(sink, true);
    this.#instance = TracingInstance.make(tracefs, options);
    try {
      this.#threads = new FocusedThreads(this.#instance.path, sampled);
      this.#instance.start([]);
    } catch (error) {
      this.#instance.remove();
      throw error;
    }
  }

  /** Opens the buffers of both instances. @throws AgentError if the kernel's pages cannot be decoded */
  openBuffers(onForeignRead: OnForeignRead): RingBuffers {
    const { instance, events, vocabulary } = this.#first;
    const formats = readFormats(instance.tracefs, systemsOf(events));
    const first = new RecordDecoder({ formats, vocabulary, sink: this.#firstSink });
    const second = new RecordDecoder({ formats, vocabulary, sink: this.#sink, openPages: first.openPages });
    const buffers = new RingBuffers(instance.path, instance.subBufferSize, first, onForeignRead);
    buffers.add(this.#instance.path, this.#instance.subBufferSize, second);
    return buffers;
  }

  /**
   * Records these threads too, from the end of the call on. Returns those that are new; undefined if the kernel
   * refuses.
   */
  add(threads: Iterable<number>): Promise<ReadonlySet<number> | undefined> {
    return this.#threads.add(threads);
  }

  /**
   * Delivers the sampled events of all threads from now on, or only those of chosen threads. Call it right after a
   * drain, while both instances record the latter, so that each event is delivered once.
   */
  deliverAll(isAll: boolean): void {
    this.#firstSink.isOn = isAll;
    this.#sink.isOn = !isAll;
  }

  /** While the first instance delivers the events of all threads: records nothing. */
  pause(): Promise<void> {
    return this.#threads.pause();
  }

  /** Records its threads again, as far as they are among these. */
  resume(kept: ReadonlySet<number>): Promise<void> {
    return this.#threads.resume(kept);
  }

  /** Records nothing more, and forgets all threads. */
  stop(): Promise<void> {
    return this.#threads.stop();
  }

  /** Closes its control files. Close the buffers too before {@link remove}. */
  close(): void {
    this.#threads.close();
  }

  /**
   * Removes the instance, later if its list of threads is being emptied.
   * @throws AgentError if another program has a file of it open
   */
  remove(): void {
    const { clearing } = this.#threads;
    if (clearing === undefined) return this.#instance.remove();
    // If that fails, the next start of the agent removes what stays.
    void clearing.then(() => this.#instance.remove()).catch(() => {});
  }
}
