/**
 * The kernel's trace, live: an instance of tracefs, its events, and a reader of its buffers.
 *
 * Binary pages are the way: reading `trace_pipe` as text costs the kernel some forty times as much per event (it formats each line).
 * Text is for kernels whose pages can't be decoded, and for comparison.
 */
import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { RecordDecoder } from '../../decode/ftrace/record-decoder.js';
import { FtraceTextDecoder } from '../../decode/ftrace/text-decoder.js';
import { ALL_NEEDED_EVENTS } from '../../decode/kvm/needed-events.js';
import { AgentError, isTransientReadError } from '../../system/errors.js';
import type { TraceSink, Vocabulary } from '../../trace/sink.js';
import { readOverruns } from './cpu-stats.js';
import { eventNames, kvmEvents, readFormats, systemsOf } from './format-files.js';
import { type Drained, NOTHING, openNonBlocking, RingBuffers } from './ring-buffers.js';
import { TraceClock } from './trace-clock.js';
import { TracingInstance } from './tracing-instance.js';

export type ReaderKind = 'auto' | 'binary' | 'text';

export interface KernelTraceOptions {
  /** Where tracefs is mounted. */
  readonly tracefs: string;
  /** Name of the instance to make. */
  readonly instance: string;
  /** Bytes per CPU. */
  readonly bufferSize: number;
  /** `system:event`, `kvm:*`; undefined: the needed ones. */
  readonly events: readonly string[] | undefined;
  /** Tracepoints of kvm to enable where `events` is undefined, as far as this kernel has them. */
  readonly neededEvents?: readonly string[];
  readonly reader: ReaderKind;
  /** Have QEMU's markers copied to the instance, where the kernel can. */
  readonly markers?: boolean;
  readonly vocabulary: Vocabulary;
  readonly sink: TraceSink;
}

/** What both readers do. */
interface Reader {
  drain(untilNs: number, deadlineMs: number, nowMs: () => number): Drained;
  openNewCpus(): void;
  close(): void;
}

export class KernelTrace {
  readonly instance: TracingInstance;
  readonly reader: Exclude<ReaderKind, 'auto'>;
  /** The tracepoints that are on. */
  readonly events: readonly string[];
  /** Why binary was not taken, where it was to be tried. */
  readonly fallback: string | undefined;
  readonly #reader: Reader | undefined;
  readonly #clock: TraceClock | undefined;

  /** @throws AgentError that says what is missing; nothing is left behind then */
  constructor(options: KernelTraceOptions) {
    const { tracefs, instance, bufferSize, markers = false } = options;
    this.events = eventsOf(tracefs, options.events, options.neededEvents);
    this.instance = TracingInstance.make(tracefs, { name: instance, bufferSize, markers });
    try {
      const { reader, kind, fallback } = openReader(this.instance, { ...options, events: this.events });
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

  /** Delivers what is there by now. @param deadlineMs of performance.now(): when to stop and say {@link Drained.behind} */
  drain(deadlineMs: number, nowMs: () => number): Drained {
    if (this.#reader === undefined || this.#clock === undefined) return NOTHING;
    return this.#reader.drain(this.#clock.nowNs(), deadlineMs, nowMs);
  }

  openNewCpus(): void {
    this.#reader?.openNewCpus();
  }

  /** Why the instance has to be made anew; undefined: it records. */
  get ended(): string | undefined {
    if (!this.instance.isRecording(this.events))
      return 'the events of our tracing instance were switched off, the kvm module went, or tracefs was unmounted';
    if (!this.instance.clockIsShared) return "the kernel trusts its CPUs' clock no more: one is not like another";
    return undefined;
  }

  /** Events that the kernel overwrote or dropped since the start, by CPU. */
  overruns(): Map<number, number> {
    return readOverruns(this.instance.path);
  }

  /** Leaves the host as it was. */
  close(): void {
    this.#reader?.close();
    this.#clock?.close();
    this.instance.remove();
  }
}

/**
 * The tracepoints to switch on; `asked` undefined: `needed`, as far as this kernel has them.
 * @throws AgentError naming those that this kernel does not have
 */
export function eventsOf(
  tracefs: string,
  asked: readonly string[] | undefined,
  needed: readonly string[] = ALL_NEEDED_EVENTS,
): string[] {
  const there = kvmEvents(tracefs);
  if (there.length === 0) throw new NoKvmEvents(tracefs);
  if (asked === undefined) return needed.filter((event) => there.includes(event)).map((event) => `kvm:${event}`);
  const events = asked.flatMap((pattern) => expand(tracefs, pattern));
  return [...new Set(events)];
}

function expand(tracefs: string, pattern: string): string[] {
  const [system = '', glob = ''] = pattern.split(':');
  const matching = new RegExp(`^${glob.replaceAll('*', '.*')}$`);
  const events = eventNames(tracefs, system).filter((event) => matching.test(event));
  if (events.length === 0)
    throw new AgentError(`${pattern}: this kernel has no such event; see ${join(tracefs, 'available_events')}`);
  return events.map((event) => `${system}:${event}`);
}

/** The kvm module is not loaded (yet): a host to wait for. */
export class NoKvmEvents extends AgentError {
  constructor(tracefs: string) {
    super(
      `${join(tracefs, 'events/kvm')}: not there, so the kvm module is not loaded; load it with modprobe kvm_intel or kvm_amd`,
    );
  }
}

function openReader(
  instance: TracingInstance,
  options: KernelTraceOptions & { readonly events: readonly string[] },
): { reader: Reader; kind: 'binary' | 'text'; fallback?: string } {
  const { tracefs, vocabulary, sink, reader } = options;
  if (reader === 'text') return { reader: new TextReader(instance.path, vocabulary, sink), kind: 'text' };
  try {
    const formats = readFormats(tracefs, systemsOf(options.events));
    const decoder = new RecordDecoder({ formats, vocabulary, sink });
    return { reader: new RingBuffers(instance.path, instance.subBufferSize, decoder), kind: 'binary' };
  } catch (error) {
    if (reader === 'binary' || !(error instanceof AgentError)) throw error;
    return { reader: new TextReader(instance.path, vocabulary, sink), kind: 'text', fallback: error.message };
  }
}

const TEXT_CHUNK = 1 << 18;
/** A line has about so many times the size of the record that it shows. Of which CPU it was does not matter here. */
const CHARACTERS_PER_BYTE = 4;

/** `trace_pipe`: the kernel merges the CPUs and formats the lines. */
export class TextReader implements Reader {
  readonly #fd: number;
  readonly #decoder: FtraceTextDecoder;
  readonly #chunk = Buffer.allocUnsafeSlow(TEXT_CHUNK);

  constructor(path: string, vocabulary: Vocabulary, sink: TraceSink) {
    this.#fd = openNonBlocking(join(path, 'trace_pipe'));
    this.#decoder = new FtraceTextDecoder(vocabulary, sink);
  }

  drain(_untilNs: number, deadlineMs: number, nowMs: () => number): Drained {
    let mostBytes = 0;
    for (let reads = 0; ; reads++) {
      const length = this.#read();
      if (length === 0) return { events: reads, mostBytes, behind: false };
      this.#decoder.push(this.#chunk.subarray(0, length));
      mostBytes += length / CHARACTERS_PER_BYTE;
      if (nowMs() > deadlineMs) return { events: reads, mostBytes, behind: true };
    }
  }

  openNewCpus(): void {}

  close(): void {
    closeSync(this.#fd);
  }

  #read(): number {
    try {
      return readSync(this.#fd, this.#chunk, 0, TEXT_CHUNK, null);
    } catch (error) {
      if (isTransientReadError(error)) return 0;
      throw error;
    }
  }
}
