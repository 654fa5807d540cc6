import type { ExportUse } from '../../snapshot/snapshot.js';
import type { RequestStatus } from './request-watch.js';

/** A receiver chooses the statuses, so the number of series that they make is bounded. */
const MAX_STATUSES = 20;

/** Counts exports over OTLP, and the answers to their requests. */
export class ExportCounts {
  readonly #results = { complete: 0, incomplete: 0 };
  readonly #requests = new Map<string, number>();
  #seconds = 0;
  #series = 0;

  /** An export has ended. @param series the series that were sent */
  exported(isComplete: boolean, seconds: number, series: number): void {
    this.#results[isComplete ? 'complete' : 'incomplete']++;
    this.#seconds += seconds;
    this.#series = series;
  }

  requested(status: RequestStatus): void {
    const isKnown = this.#requests.has(status) || this.#requests.size < MAX_STATUSES;
    const name = isKnown ? status : 'other';
    this.#requests.set(name, (this.#requests.get(name) ?? 0) + 1);
  }

  get use(): ExportUse {
    return {
      exports: this.#results,
      seconds: this.#seconds,
      series: this.#series,
      requests: [...this.#requests].map(([status, count]) => ({ status, count })),
    };
  }
}
