/**
 * Counts all events in one window of each period, at a random time in it:
 *
 *   period  |----------[ on, count all events, off ]-------------------|
 *             random   window                         rest               estimate
 *
 * KVM's own statistics are read at the edges of windows, to see that they count the exits that the trace shows, and at
 * the end of the period, which is estimated then.
 */
import { setImmediate as endOfTurn, setTimeout as sleep } from 'node:timers/promises';
import type { SamplingPlan } from './sampling-plan.js';

/** What the sampler controls. */
export interface SampledSources {
  /** Switches the sampled events on or off; false if that failed. */
  readonly sample: (on: boolean) => Promise<boolean>;
  /** True while they are on, and have been since {@link sample}. */
  readonly isSampling: () => boolean;
  /** Counts what has happened by now; false if it could not count all of it. */
  readonly drain: () => boolean;
  /** Sampled events that were counted so far. */
  readonly events: () => number;
  /** Reads KVM's own statistics. */
  readonly readStatistics: () => Promise<void>;
}

/** The VMs of which all events are counted at any time, from a second tracing instance between windows. */
export interface Focus {
  /**
   * Follows VMs and threads that start and end, outside windows.
   * @param periodMs milliseconds since the begin of the period
   */
  update(periodMs: number): Promise<void>;
  /** All events are counted from now on, or those of the second instance. */
  deliverAll(isAll: boolean): void;
  /** The second instance records nothing, in a window. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** What counts. Times are of {@link WindowSamplerOptions.now}. */
export interface SampledLedger {
  begin(nowMs: number): void;
  openWindow(nowMs: number): void;
  closeWindow(nowMs: number): number;
  endPeriod(nowMs: number, isNew: (label: string, isFirst: boolean) => boolean): void;
}

export interface WindowSamplerOptions {
  readonly plan: SamplingPlan;
  readonly sources: SampledSources;
  readonly ledger: SampledLedger;
  /** Labels of the VMs that started in the last milliseconds. */
  readonly startedWithin: (ms: number) => ReadonlySet<string>;
  readonly focus?: Focus | undefined;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** A QEMU that hangs must not keep a window open. */
const MAX_READ_MS = 500;
/** A trace that is never read to its end must not either. */
const MAX_DRAIN_MS = 2000;
/** Time between two calls of {@link Focus.update}. */
const UPDATE_MS = 2000;

export class WindowSampler {
  readonly #options: Required<Omit<WindowSamplerOptions, 'focus'>> & Pick<WindowSamplerOptions, 'focus'>;
  readonly #stop = new AbortController();
  #beganMs = Number.NaN;

  constructor(options: WindowSamplerOptions) {
    this.#options = { now: () => performance.now(), random: Math.random, ...options };
  }

  /** Samples until {@link stop}. @throws what a step throws */
  async run(): Promise<void> {
    const { sources, ledger, now } = this.#options;
    try {
      await sources.readStatistics();
      await this.#drain();
      this.#beganMs = now();
      ledger.begin(this.#beganMs);
      while (!this.#stop.signal.aborted) await this.#period();
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  async #period(): Promise<void> {
    const { plan, sources, ledger, startedWithin, now, random } = this.#options;
    const startMs = now();
    const { windowMs, periodMs } = plan.next();
    await this.#rest(startMs, startMs + random() * (periodMs - windowMs));
    await this.#window(windowMs, windowMs < periodMs);
    await this.#rest(startMs, startMs + periodMs);
    await sources.readStatistics();
    await this.#drain();
    const [inPeriod, sinceBegin] = [startedWithin(now() - startMs), startedWithin(now() - this.#beganMs)];
    // A process may take longer than a period from its start until it has a VM.
    ledger.endPeriod(now(), (label, isFirst) => (isFirst ? sinceBegin : inPeriod).has(label));
  }

  /** @param ends false: events stay on for the next period */
  async #window(windowMs: number, ends: boolean): Promise<void> {
    const { plan, sources, ledger, focus, now } = this.#options;
    if (await sources.sample(true)) {
      await this.#readStatistics();
      await this.#drain();
      focus?.deliverAll(true);
      const [startMs, eventsBefore] = [now(), sources.events()];
      ledger.openWindow(startMs);
      await focus?.pause();
      await this.#sleep(windowMs);
      if (ends) await focus?.resume();
      await this.#readStatistics();
      await this.#drain();
      if (sources.isSampling()) {
        const endMs = now();
        const eventsOfBusiest = ledger.closeWindow(endMs) * (sources.events() - eventsBefore);
        plan.observe({ eventsPerSecond: (1000 * eventsOfBusiest) / (endMs - startMs) });
      }
      if (ends) focus?.deliverAll(false);
    }
    if (ends) await sources.sample(false);
  }

  async #readStatistics(): Promise<void> {
    const isOver = new AbortController();
    const { signal } = isOver;
    const timeout = sleep(MAX_READ_MS, undefined, { signal }).catch(() => {});
    await Promise.race([this.#options.sources.readStatistics(), timeout]);
    isOver.abort();
  }

  /** Counts everything that has happened by now, and lets other work run in between. */
  async #drain(): Promise<void> {
    const { sources, now } = this.#options;
    for (const untilMs = now() + MAX_DRAIN_MS; !sources.drain() && now() < untilMs; ) await endOfTurn();
    this.#stop.signal.throwIfAborted();
  }

  /** Waits outside windows. @throws if {@link stop} is called */
  async #rest(periodStartMs: number, untilMs: number): Promise<void> {
    const { focus, now } = this.#options;
    if (focus === undefined) return this.#sleep(untilMs - now());
    for (;;) {
      await focus.update(now() - periodStartMs);
      const leftMs = untilMs - now();
      await this.#sleep(Math.min(UPDATE_MS, leftMs));
      if (leftMs <= UPDATE_MS) return;
    }
  }

  /** @throws if {@link stop} is called */
  async #sleep(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal: this.#stop.signal });
  }
}
