/**
 * Feeds the ledger from tracefs:
 *
 *   instances/kvm-exit-exporter   the kernel's trace, in a tracing instance of our own
 *   the top-level buffer          QEMU's markers, if the user asks for them and the kernel cannot copy them
 *
 * Each of them can be missing at the start, or go away later: the kvm module is loaded late, tracefs is unmounted, or
 * another program reads the top-level buffer.
 */
import type { KernelCounts } from '../count/kernel-counts.js';
import type { Ledger } from '../count/ledger.js';
import { neededEvents } from '../decode/kvm/events.js';
import { findTracefs, type Tracefs } from '../source/tracefs/find-tracefs.js';
import type { FocusInstance } from '../source/tracefs/focus-instance.js';
import { KernelTrace } from '../source/tracefs/kernel-trace.js';
import { KvmNotLoaded } from '../source/tracefs/select-events.js';
import { TopLevelMarkers } from '../source/tracefs/top-level-markers.js';
import { log } from '../system/log.js';
import { UNKNOWN_LOSS } from '../trace/sink.js';
import { DisturbanceLog } from './disturbance-log.js';
import type { AgentOptions } from './options.js';
import { vmEvents } from './pace/vm-events.js';
import type { Readiness } from './readiness.js';
import { isSampled, sampledEvents } from './sampled-events.js';

/** Longest time of one drain: scrapes are answered between drains. */
const BUDGET_MS = 50;

/** Creates the counters of a source; `name` is the source's label. */
type NewSource = (name: string) => KernelCounts;

export class KernelFeed {
  readonly #options: AgentOptions;
  readonly #ledger: Ledger;
  readonly #readiness: Readiness;
  readonly #onWrite: () => void;
  readonly #disturbances: DisturbanceLog;
  /** Undefined if the kernel's trace was not asked for. */
  readonly #counts: KernelCounts | undefined;
  /** Undefined if the top-level buffer was not asked for. */
  readonly #markerCounts: KernelCounts | undefined;
  #tracefs: Tracefs | undefined;
  #trace: KernelTrace | undefined;
  /** The trace whose sampled events are on. */
  #sampledTrace: KernelTrace | undefined;
  /** True if sampled events may be on. */
  #recordsSampled: boolean;
  #topLevel: TopLevelMarkers | undefined;
  /** True if the kernel copies QEMU's markers to our instance. */
  #markersCopied = false;

  /** @param onWrite called when another program has changed our instance; the next drain sets it back */
  constructor(
    options: AgentOptions,
    ledger: Ledger,
    newSource: NewSource,
    readiness: Readiness,
    onWrite: () => void = () => {},
  ) {
    this.#options = options;
    this.#ledger = ledger;
    this.#recordsSampled = options.sampling === undefined;
    this.#onWrite = onWrite;
    this.#readiness = readiness;
    this.#disturbances = new DisturbanceLog(options.instance);
    const source = (name: string) => {
      const counts = newSource(name);
      counts.source.up = false;
      return counts;
    };
    if (options.kernel) this.#counts = source('tracefs');
    // The series of gaps exists from the start: PromQL's increase() does not count what a series begins with.
    this.#counts?.source.unknownGaps.set(-1, 0);
    if (options.consumeTopLevel) this.#markerCounts = source('qemu_markers');
  }

  /** True if the kernel's trace is being read, or was not asked for. */
  get isReading(): boolean {
    return this.#trace?.works === true || this.#counts === undefined;
  }

  /** True if everything that was asked for is open. */
  get isOpen(): boolean {
    const markers = this.#markerCounts === undefined || this.#topLevel !== undefined || this.#markersCopied;
    return this.isReading && markers;
  }

  /** True if the kernel's trace is being read. */
  get isTracing(): boolean {
    return this.#trace?.works === true;
  }

  /**
   * Opens what was asked for and is not open yet. Waits for the kvm module if it is not loaded.
   * @throws AgentError if the rights or the kernel do not allow it, or another program uses it; call {@link close} or
   * {@link watch} then
   */
  open(): void {
    if (this.#counts === undefined && this.#markerCounts === undefined) return;
    this.#tracefs ??= findTracefs(this.#options.tracefs);
    const { path } = this.#tracefs;
    if (this.#counts !== undefined && this.#trace === undefined) this.#openTrace(this.#counts, path);
    if (this.#markerCounts !== undefined) this.#openTopLevel(this.#markerCounts, path);
    if (this.isOpen) this.#readiness.ready();
  }

  /** Checks what is open, and reopens it if that is necessary. @throws AgentError as {@link open} */
  watch(): void {
    const ended = this.#trace?.ended;
    if (ended !== undefined) {
      this.drain();
      this.#readiness.wait(ended);
      this.#closeTraces();
      // It is not known how many events happen between the end of the buffers and their next opening.
      this.#counts?.source.addLost(-1, UNKNOWN_LOSS);
    }
    if (this.isOpen) return;
    if (this.#tracefs?.isMounted() === false) this.#tracefs = undefined;
    this.open();
  }

  /** Leaves the host as it was. @throws AgentError if that is impossible */
  close(): void {
    // If tracefs was unmounted, our instance still exists, out of reach: tracefs must be mounted again to remove it.
    if (this.#tracefs?.isMounted() === false) this.#readiness.attempt(() => this.watch());
    try {
      this.#closeTraces();
    } finally {
      this.#tracefs?.release();
      this.#tracefs = undefined;
    }
  }

  /**
   * Counts the events that have happened by now. All events until `countedToMs` are counted then; undefined if no trace
   * is read.
   * @param isQuiet as in {@link KernelTrace.drain}
   */
  drain(isQuiet = false): {
    readonly mostBytes: number;
    readonly behind: boolean;
    readonly countedToMs: number | undefined;
  } {
    const markersBehind = timed(this.#markerCounts, (deadlineMs) => this.#topLevel?.drain(deadlineMs, now));
    const startMs = now();
    const drained = timed(this.#counts, (deadlineMs) => this.#trace?.drain(deadlineMs, now, isQuiet));
    if (this.#counts !== undefined && this.#trace !== undefined) this.#counts.source.up = this.#trace.works;
    return {
      mostBytes: drained?.mostBytes ?? 0,
      behind: drained?.behind === true || markersBehind === true,
      countedToMs: this.#countedToMs(drained?.behind === true, startMs),
    };
  }

  /** Switches the sampled events on or off, without blocking the event loop; false if that failed. */
  async sample(on: boolean): Promise<boolean> {
    const trace = this.#trace;
    if (on) this.#recordsSampled = true;
    const isDone = (await trace?.sample(on)) === true;
    if (!on) this.#recordsSampled = !isDone;
    this.#sampledTrace = isDone && on ? trace : undefined;
    return isDone;
  }

  /**
   * Records the sampled events of chosen threads between windows too; undefined if none can be chosen, or no trace is
   * read.
   */
  get focus(): FocusInstance | undefined {
    return this.#trace?.focus;
  }

  /** True if nothing is on that guests raise often: between windows, unless VMs may be in focus. */
  get recordsRareEvents(): boolean {
    return !this.#recordsSampled && this.#options.focus === undefined;
  }

  /** Events that were counted so far and are on in windows only. */
  get sampledEvents(): number {
    return this.#counts === undefined ? 0 : sampledEvents(this.#counts, this.#ledger.vocabulary.tracepoints);
  }

  /** Events of VMs that were counted so far. */
  get vmEvents(): number {
    const { tracepoints } = this.#ledger.vocabulary;
    const traces = [this.#counts, this.#markerCounts].filter((counts) => counts !== undefined);
    return traces.reduce((sum, counts) => sum + vmEvents(counts, tracepoints), 0);
  }

  /** True while the sampled events are on, and have been since {@link sample}. */
  get isSampling(): boolean {
    return this.#sampledTrace !== undefined && this.#sampledTrace === this.#trace;
  }

  /** Ids of the threads that raised their first event since the last call. */
  takeNewThreads(): readonly number[] {
    return this.#counts?.threads.takeNew() ?? [];
  }

  /** Opens the buffers of CPUs that were plugged in, and reads the buffers' statistics. */
  openNewCpus(): void {
    this.#topLevel?.openNewCpus();
    this.#readOverruns();
    this.#trace?.openNewCpus();
  }

  #countedToMs(isBehind: boolean, startMs: number): number | undefined {
    if (this.#counts === undefined || !this.isTracing) return undefined;
    const { lastTimeNs, clockOffsetMs } = this.#counts;
    return isBehind && !Number.isNaN(clockOffsetMs) ? lastTimeNs / 1e6 + clockOffsetMs : startMs;
  }

  #openTrace(counts: KernelCounts, tracefs: string): void {
    const { vocabulary } = this.#ledger;
    const { sampling, focus, bufferSize } = this.#options;
    try {
      this.#trace = new KernelTrace({
        ...this.#options,
        neededEvents: neededEvents(this.#options.collectors),
        ...(sampling === undefined ? {} : { isSampled, focusBufferSize: focus && bufferSize }),
        tracefs,
        vocabulary,
        sink: counts,
        onWrite: this.#onWrite,
        onDisturbance: (disturbance) => this.#disturbances.add(disturbance),
        onClock: (offsetMs) => {
          counts.clockOffsetMs = offsetMs;
        },
      });
    } catch (error) {
      if (!(error instanceof KvmNotLoaded)) throw error;
      this.#readiness.wait(error.message);
      return;
    }
    counts.source.up = true;
    const { events, fallback, instance, reader } = this.#trace;
    this.#ledger.kernelCountsAll = events.includes('kvm:kvm_userspace_exit');
    if (fallback !== undefined) log('warn', 'reading trace_pipe as text, which costs much more CPU', { err: fallback });
    log('info', 'reading kernel trace', { instance: instance.path, reader, events: events.join(',') });
  }

  /**
   * Closes the top-level buffer if markers are copied to our instance, so that none is counted twice; the instance may
   * be the newer one.
   */
  #openTopLevel(counts: KernelCounts, tracefs: string): void {
    if (this.#trace?.instance.copiesMarkers === true) {
      if (!this.#markersCopied)
        log('info', "QEMU's markers are copied to our instance; the top-level buffer is left alone");
      this.#markersCopied = true;
      this.#closeTopLevel();
      return;
    }
    if (this.#topLevel !== undefined) return;
    const { vocabulary } = this.#ledger;
    this.#topLevel = new TopLevelMarkers({ ...this.#options, tracefs, vocabulary, sink: counts });
    counts.source.up = true;
    log('info', "reading QEMU's markers from the top-level buffer, which empties it", { tracefs });
  }

  #closeTraces(): void {
    this.#closeTopLevel();
    this.#markersCopied = false;
    this.#ledger.kernelCountsAll = false;
    this.#readOverruns();
    if (this.#counts !== undefined) this.#counts.source.up = false;
    this.#counts?.endBuffers();
    const trace = this.#trace;
    this.#trace = undefined;
    trace?.close();
  }

  #closeTopLevel(): void {
    if (this.#markerCounts !== undefined) this.#markerCounts.source.up = false;
    this.#topLevel?.close();
    this.#topLevel = undefined;
  }

  #readOverruns(): void {
    const overruns = this.#trace?.overruns();
    // If the statistics cannot be read, the ones read before stay.
    if (this.#counts !== undefined && overruns !== undefined && overruns.size > 0)
      this.#counts.source.updateOverruns(overruns);
  }
}

function now(): number {
  return performance.now();
}

/** Drains, and adds the time to the source's own metrics. Undefined if there is nothing to drain. */
function timed<T>(counts: KernelCounts | undefined, drain: (deadlineMs: number) => T | undefined): T | undefined {
  const startMs = now();
  const drained = drain(startMs + BUDGET_MS);
  if (drained !== undefined) counts?.source.addDrain((now() - startMs) / 1000);
  return drained;
}
