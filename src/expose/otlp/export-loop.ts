import { setTimeout as sleep } from 'node:timers/promises';
import type { MetricData } from '@opentelemetry/sdk-metrics';
import { log } from '../../system/log.js';
import type { ExportCounts } from './export-counts.js';
import type { SnapshotProducer } from './snapshot-producer.js';

/** What became of a batch. `refused`: the receiver will never take this batch, but may take the next ones. */
export type BatchResult = 'accepted' | 'refused' | 'failed';

export interface ExportLoopOptions {
  readonly producer: SnapshotProducer;
  readonly send: (batch: readonly MetricData[]) => Promise<BatchResult>;
  readonly intervalMs: number;
  readonly counts: ExportCounts;
}

const REPEAT_MS = 60_000;

/** Lets timers that are due go first, such as the next drain's: they would wait for what setImmediate() begins. */
const otherWork = () => sleep(0);

/**
 * Exports at intervals, one batch after the other: at most one request is in flight. An export ends with the first
 * batch that fails, because a receiver that does not answer would hold up the next export with every batch.
 */
export class ExportLoop {
  readonly #options: ExportLoopOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ExportLoopOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#onTick(), options.intervalMs);
    this.#timer.unref();
  }

  /** Ends the intervals, and exports once more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    // An export that repeats what was not answered does not have what was counted since.
    if (this.#options.producer.isUnanswered) await this.#run();
    await this.#run();
  }

  #onTick(): void {
    if (this.#running === undefined) void this.#run();
    else this.#warnLate();
  }

  #run(): Promise<void> {
    const running = this.#export().finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #export(): Promise<void> {
    const { producer, send, counts } = this.#options;
    const startMs = performance.now();
    let isComplete = true;
    let series = 0;
    const batches = await producer.batches();
    await otherWork();
    for (const batch of batches) {
      await otherWork();
      const result = await send(batch);
      for (const { dataPoints } of batch) series += dataPoints.length;
      if (result !== 'accepted') isComplete = false;
      if (result === 'failed') break;
      await otherWork();
    }
    counts.exported(isComplete, (performance.now() - startMs) / 1000, series);
  }

  #warnLate(): void {
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < REPEAT_MS) return;
    this.#warnedMs = nowMs;
    log('warn', 'an OTLP export takes longer than its interval: use a longer --otlp.interval, or fewer series', {
      interval_seconds: this.#options.intervalMs / 1000,
    });
  }
}
