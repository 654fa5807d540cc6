/**
 * What there is to read in tracefs, to the ledger:
 *
 *   instances/kvm-exit-exporter   the kernel's trace, in an instance of our own
 *   the top-level buffer          QEMU's markers, where the user asks for them and the kernel cannot copy them to our instance
 *
 * Either may have to be waited for, or be gone all of a sudden: the kvm module is loaded late, somebody unmounts tracefs, switches the events off
 * or reads the top-level buffer just now.
 */

import type { KernelCounts } from '../count/kernel-counts.js';
import type { Ledger } from '../count/ledger.js';
import { neededEvents } from '../decode/kvm/events.js';
import { findTracefs, type Tracefs } from '../source/tracefs/find-tracefs.js';
import { KernelTrace } from '../source/tracefs/kernel-trace.js';
import { KvmNotLoaded } from '../source/tracefs/select-events.js';
import { TopLevelMarkers } from '../source/tracefs/top-level-markers.js';
import { log } from '../system/log.js';
import { UNKNOWN_LOSS } from '../trace/sink.js';
import type { AgentOptions } from './options.js';
import type { Readiness } from './readiness.js';

/** A drain that takes longer lets others (scrapes) in between. */
const BUDGET_MS = 50;

/** A source of events, with what it counts. */
type NewSource = (name: string) => KernelCounts;

export class KernelFeed {
  readonly #options: AgentOptions;
  readonly #ledger: Ledger;
  readonly #readiness: Readiness;
  /** Undefined where that is not asked for. */
  readonly #counts: KernelCounts | undefined;
  readonly #markerCounts: KernelCounts | undefined;
  #tracefs: Tracefs | undefined;
  #trace: KernelTrace | undefined;
  #topLevel: TopLevelMarkers | undefined;
  /** The kernel copies them to our instance. */
  #markersCopied = false;

  constructor(options: AgentOptions, ledger: Ledger, newSource: NewSource, waiting: Readiness) {
    this.#options = options;
    this.#ledger = ledger;
    this.#readiness = waiting;
    const source = (name: string) => {
      const counts = newSource(name);
      counts.source.up = false;
      return counts;
    };
    if (options.kernel) this.#counts = source('tracefs');
    if (options.consumeTopLevel) this.#markerCounts = source('qemu_markers');
  }

  /** The exits of VMs are being read, or nobody has asked for them. */
  get isReading(): boolean {
    return this.#trace !== undefined || this.#counts === undefined;
  }

  /**
   * Opens what is asked for and not open yet. A host without the kvm module is waited for.
   * @throws AgentError where the rights or the kernel don't allow it, or somebody uses it; call {@link close} or {@link watch} then
   */
  open(): void {
    if (this.#counts === undefined && this.#markerCounts === undefined) return;
    this.#tracefs ??= findTracefs(this.#options.tracefs);
    const { path } = this.#tracefs;
    if (this.#counts !== undefined && this.#trace === undefined) this.#openTrace(this.#counts, path);
    if (this.#markerCounts !== undefined) this.#openTopLevel(this.#markerCounts, path);
    if (this.#isOpen) this.#readiness.over();
  }

  /** Looks whether it is all as it should be, and opens what has to be opened anew. @throws AgentError as {@link open} */
  watch(): void {
    const ended = this.#trace?.ended;
    if (ended !== undefined) {
      this.drain();
      this.#readiness.for(ended);
      this.#closeTraces();
      // What came since then, nobody knows.
      this.#counts?.source.addLost(-1, UNKNOWN_LOSS);
    }
    if (this.#isOpen) return;
    if (this.#tracefs?.isMounted() === false) this.#tracefs = undefined;
    this.open();
  }

  /** Leaves the host as it was. @throws AgentError where that can't be */
  close(): void {
    // Our instance is still there, out of reach: to remove it, tracefs must be mounted again.
    if (this.#tracefs?.isMounted() === false) this.#readiness.attempt(() => this.watch());
    try {
      this.#closeTraces();
    } finally {
      this.#tracefs?.release();
      this.#tracefs = undefined;
    }
  }

  /** Counts what is there by now. */
  drain(): { readonly mostBytes: number; readonly behind: boolean } {
    const markersBehind = timed(this.#markerCounts, (deadlineMs) => this.#topLevel?.drain(deadlineMs, now));
    const drained = timed(this.#counts, (deadlineMs) => this.#trace?.drain(deadlineMs, now));
    return { mostBytes: drained?.mostBytes ?? 0, behind: drained?.behind === true || markersBehind === true };
  }

  /** Threads seen for the first time. */
  takeNewThreads(): readonly number[] {
    return this.#counts?.takeNewThreads() ?? [];
  }

  /** CPUs can be plugged in. */
  openNewCpus(): void {
    this.#topLevel?.openNewCpus();
    this.#readOverruns();
    this.#trace?.openNewCpus();
  }

  /** All that is asked for. */
  get #isOpen(): boolean {
    const markers = this.#markerCounts === undefined || this.#topLevel !== undefined || this.#markersCopied;
    return this.isReading && markers;
  }

  #openTrace(counts: KernelCounts, tracefs: string): void {
    const { vocabulary } = this.#ledger;
    try {
      this.#trace = new KernelTrace({
        ...this.#options,
        neededEvents: neededEvents(this.#options.collectors),
        tracefs,
        vocabulary,
        sink: counts,
      });
    } catch (error) {
      if (!(error instanceof KvmNotLoaded)) throw error;
      this.#readiness.for(error.message);
      return;
    }
    counts.source.up = true;
    const { events, fallback, instance, reader } = this.#trace;
    this.#ledger.kernelCountsAll = events.includes('kvm:kvm_userspace_exit');
    if (fallback !== undefined) log('warn', 'reading trace_pipe as text, which costs much more CPU', { err: fallback });
    log('info', 'reading kernel trace', { instance: instance.path, reader, events: events.join(',') });
  }

  /** Never both: markers that are copied to our instance are read there. It may have been made later than this buffer was opened. */
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
    // Where none can be read, those known stay.
    if (this.#counts !== undefined && overruns !== undefined && overruns.size > 0)
      this.#counts.source.overruns = overruns;
  }
}

function now(): number {
  return performance.now();
}

/** Drains, and adds the time to what the source tells of itself; undefined where there is nothing to drain. */
function timed<T>(counts: KernelCounts | undefined, drain: (deadlineMs: number) => T | undefined): T | undefined {
  const startMs = now();
  const drained = drain(startMs + BUDGET_MS);
  if (drained !== undefined) counts?.source.addDrain((now() - startMs) / 1000);
  return drained;
}
