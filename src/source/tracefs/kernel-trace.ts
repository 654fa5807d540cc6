/**
 * The live trace of the kernel: a tracing instance, its events, and a reader of its buffers.
 *
 * Other programs can change the instance, empty its buffers or read from them. Each of these is undone as far as
 * possible, reported, and delivered to the sink as a loss.
 *
 * Reading `trace_pipe` as text costs the kernel more than thirty times as much per event, because it formats each line.
 * So text is only for kernels whose binary pages cannot be decoded, and for comparison.
 */
import { join } from 'node:path';
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { AgentError } from '../../system/errors.js';
import type { ReaderKind } from '../../trace/reader-kinds.js';
import { type TraceSink, UNKNOWN_LOSS, type Vocabulary } from '../../trace/sink.js';
import { EventSwitches } from './control/event-switches.js';
import { InstanceGuard, type Reverted } from './control/instance-guard.js';
import { PAGE_SIZE_FILE } from './control/instance-settings.js';
import { FocusInstance } from './focus-instance.js';
import { readFormats, systemsOf } from './format-files.js';
import { RingBuffers } from './ring-buffers.js';
import { selectEvents, threadEvents } from './select-events.js';
import { TextReader } from './text-reader.js';
import { TraceClock } from './trace-clock.js';
import type { Drained, OnForeignRead, TraceReader } from './trace-reader.js';
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
  /** Tracepoints of kvm to switch on, as far as this kernel has them. With them, ends of threads are reported. */
  readonly neededEvents?: readonly string[];
  /** Those of the tracepoints that are off until {@link KernelTrace.sample}, as `system:event`. Default: none. */
  readonly isSampled?: (event: string) => boolean;
  /**
   * Bytes per CPU of a second instance, which records the sampled tracepoints of chosen threads between windows too.
   * Undefined: there is none.
   */
  readonly focusBufferSize?: number | undefined;
  readonly reader: ReaderKind;
  /** Copies QEMU's markers to the instance, if the kernel can. */
  readonly markers?: boolean;
  /**
   * Called before events are delivered, with the time on the caller's clock at time 0 of the trace's clock, in
   * milliseconds; NaN if the kernel does not say.
   */
  readonly onClock?: (offsetMs: number) => void;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
  /** Called when another program has written to a file of the instance. The next drain sets it back. */
  readonly onWrite?: () => void;
  readonly onDisturbance?: (disturbance: Disturbance) => void;
}

/** Something that another program did to the instance. */
export type Disturbance =
  /** It wrote to this file, a path in the instance. The file is set back, and the sink got a gap. */
  | { readonly kind: 'written'; readonly file: string }
  /** It emptied or swapped a buffer, and the sink got a gap. */
  | { readonly kind: 'emptied' }
  /** It read this many events, which the sink got as lost. */
  | { readonly kind: 'read'; readonly events: number };

export class KernelTrace {
  readonly instance: TracingInstance;
  readonly reader: Exclude<ReaderKind, 'auto'>;
  /** The tracepoints that are recorded. */
  readonly events: readonly string[];
  /** Reason why `auto` chose text; undefined if it did not. */
  readonly fallback: string | undefined;
  /** Undefined if no threads can be in focus. */
  readonly focus: FocusInstance | undefined;
  /** Those of them that are on in windows only. */
  readonly #sampled: readonly string[];
  #switches: EventSwitches | undefined;
  #isSampling = false;
  readonly #options: KernelTraceOptions;
  #reader: TraceReader | undefined;
  readonly #clock: TraceClock | undefined;
  readonly #guard: InstanceGuard | undefined;
  /** True while the sink waits for the end of a gap. */
  #isInGap = false;
  /** The files that could not be set back, and the number of drains that tried in vain. */
  #notSetBack: readonly string[] = [];
  #vainTries = 0;
  /** Reason why the instance is beyond repair; undefined if it is not. */
  #failure: string | undefined;

  /** @throws AgentError that says what is missing; the host is unchanged then */
  constructor(options: KernelTraceOptions) {
    const { tracefs, instance, bufferSize, markers = false, isSampled = () => false, onWrite = () => {} } = options;
    const { focusBufferSize } = options;
    this.#options = options;
    const threads = options.events === undefined ? threadEvents(tracefs) : [];
    this.events = [...selectEvents(tracefs, options.events, options.neededEvents), ...threads];
    this.#sampled = this.events.filter(isSampled);
    this.instance = TracingInstance.make(tracefs, { name: instance, bufferSize, markers });
    try {
      if (focusBufferSize !== undefined && this.#sampled.length > 0) {
        const { vocabulary, sink } = options;
        const first = { instance: this.instance, events: this.events, sampled: this.#sampled, vocabulary, sink };
        this.focus = new FocusInstance(tracefs, { name: `${instance}-focus`, bufferSize: focusBufferSize }, first);
      }
      const { reader, kind, fallback } = this.#openReader();
      this.#reader = reader;
      this.#clock = new TraceClock(this.instance.path);
      this.reader = kind;
      this.fallback = fallback;
      this.instance.start(this.events.filter((event) => !isSampled(event)));
      if (this.#sampled.length > 0) this.#switches = new EventSwitches(this.instance.path, this.#sampled);
      this.#guard = new InstanceGuard(this.instance.path, this.events, this.#sampled, onWrite);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Delivers the events that have happened by now; see {@link TraceReader.drain}. */
  drain(deadlineMs: number, nowMs: () => number, isQuiet = false): Drained {
    if (this.#reader === undefined) return NOTHING;
    const files = this.#guard?.takeChanges(nowMs()) ?? [];
    const drained =
      files.length > 0
        ? this.#drainAndRevert(files, deadlineMs, nowMs)
        : this.#drain(deadlineMs, nowMs, undefined, isQuiet);
    if (!drained.behind && this.#guard?.isSettling !== true) this.#endGap();
    return drained;
  }

  /**
   * Switches the sampled tracepoints on or off, without blocking the event loop. The kernel switches one after the
   * other, so until then exits may be seen without the events that follow them. Returns false if the kernel refuses,
   * or the trace was closed. Call it again only after it has returned.
   */
  async sample(on: boolean): Promise<boolean> {
    if (on === this.#isSampling) return true;
    this.#guard?.switching(this.#sampled);
    const isDone = (await this.#switches?.switch(on)) ?? true;
    this.#guard?.switched(this.#sampled, on);
    this.#isSampling = on;
    return isDone;
  }

  openNewCpus(): void {
    this.#reader?.openNewCpus();
  }

  /** False if another program changed the instance and the last drain could not set it back. */
  get works(): boolean {
    return this.#failure === undefined && this.#notSetBack.length === 0;
  }

  /** Reason why the instance must be made again; undefined while it works. */
  get ended(): string | undefined {
    const missing = this.#guard?.missing();
    if (missing !== undefined)
      return `${join(this.instance.path, missing)}: gone, because the kvm module was unloaded or tracefs was unmounted`;
    if (!this.instance.clockIsShared)
      return 'the kernel marked the TSC unstable, so time stamps of different CPUs are no longer comparable; switching to the mono clock';
    return this.#failure;
  }

  /** Events that the kernel overwrote or dropped since the start, by CPU. */
  overruns(): Map<number, number> {
    return this.#reader?.overruns() ?? new Map();
  }

  /** Leaves the host as it was found. */
  close(): void {
    this.#guard?.close();
    this.#switches?.close();
    this.focus?.close();
    this.#reader?.close();
    this.#clock?.close();
    try {
      this.instance.remove();
    } finally {
      this.focus?.remove();
    }
  }

  #drain(deadlineMs: number, nowMs: () => number, untilNs?: number, isQuiet = false): Drained {
    const { nowNs, offsetMs } = this.#clock?.compare(nowMs) ?? { nowNs: 0, offsetMs: nowMs() };
    this.#options.onClock?.(offsetMs);
    return this.#reader?.drain(untilNs ?? nowNs, deadlineMs, nowMs, isQuiet) ?? NOTHING;
  }

  /**
   * Delivers what is in the buffers, whatever time the clock shows meanwhile, and sets the instance back. Where in the
   * stream the changes took effect is unknown, so all of these events are within a gap.
   */
  #drainAndRevert(files: readonly string[], deadlineMs: number, nowMs: () => number): Drained {
    this.#beginGap();
    this.#report(files);
    if (files.includes(PAGE_SIZE_FILE)) return this.#giveUp();
    const drained = this.#drain(deadlineMs, nowMs, Number.POSITIVE_INFINITY);
    const { setBack, notSetBack } = this.#guard?.revert() ?? NOTHING_REVERTED;
    this.#report(setBack.filter((file) => !files.includes(file)));
    this.#notSetBack = notSetBack;
    if (setBack.includes(PAGE_SIZE_FILE)) return this.#giveUp();
    this.#reader?.findForeignReads();
    this.#vainTries = this.works ? 0 : this.#vainTries + 1;
    if (this.#vainTries === MAX_TRIES)
      this.#failure = `another program changed ${this.#notSetBack.join(', ')} of our tracing instance, and it cannot be set back; making a new instance`;
    return drained;
  }

  #report(files: readonly string[]): void {
    for (const file of files) this.#options.onDisturbance?.({ kind: 'written', file });
  }

  /**
   * Reads no more from an instance whose pages got another size. A read meanwhile may have ended all recording: the
   * kernel takes a page of the old size for one that is still being written to, waits for a second, warns, and switches
   * the buffers off for good, which no file shows (rb_get_reader_page in kernel/trace/ring_buffer.c, Linux 6.18).
   */
  #giveUp(): Drained {
    this.#reader?.close();
    this.#reader = undefined;
    this.#failure = `another program changed ${PAGE_SIZE_FILE} of our tracing instance; making a new instance`;
    return NOTHING;
  }

  #openReader(): { reader: TraceReader; kind: 'binary' | 'text'; fallback?: string } {
    const { tracefs, vocabulary, sink, reader: kind } = this.#options;
    const { path, subBufferSize } = this.instance;
    if (this.focus !== undefined) return { reader: this.focus.openBuffers(this.#onForeignRead), kind: 'binary' };
    if (kind === 'text') return { reader: new TextReader(path, vocabulary, sink, this.#onForeignRead), kind };
    try {
      const formats = readFormats(tracefs, systemsOf(this.events));
      const decoder = new RecordDecoder({ formats, vocabulary, sink });
      return { reader: new RingBuffers(path, subBufferSize, decoder, this.#onForeignRead), kind: 'binary' };
    } catch (error) {
      if (kind === 'binary' || !(error instanceof AgentError)) throw error;
      return {
        reader: new TextReader(path, vocabulary, sink, this.#onForeignRead),
        kind: 'text',
        fallback: error.message,
      };
    }
  }

  readonly #onForeignRead: OnForeignRead = (events) => {
    const { sink, onDisturbance } = this.#options;
    if (events !== UNKNOWN_LOSS) {
      sink.gapAhead(NO_CPU);
      sink.lost(NO_CPU, events);
      onDisturbance?.({ kind: 'read', events });
    } else if (!this.#isInGap) {
      this.#beginGap();
      onDisturbance?.({ kind: 'emptied' });
    }
  };

  #beginGap(): void {
    if (!this.#isInGap) this.#options.sink.gapAhead(NO_CPU);
    this.#isInGap = true;
  }

  #endGap(): void {
    if (this.#isInGap) this.#options.sink.lost(NO_CPU, UNKNOWN_LOSS);
    this.#isInGap = false;
  }
}

/** Drains in a row that cannot set the instance back until a new one is made. */
const MAX_TRIES = 10;
const NOTHING_REVERTED: Reverted = { setBack: [], notSetBack: [] };
const NOTHING: Drained = { mostBytes: 0, behind: false };
/** The losses that other programs cause are not losses of a CPU. */
const NO_CPU = -1;
