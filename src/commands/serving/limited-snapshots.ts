import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GetOption } from '../../config/options.js';
import { type Steps, Stepwise } from '../../count/stepwise.js';
import { SeriesLimiter, type SeriesLimits } from '../../snapshot/series-limiter.js';
import type { Snapshot } from '../../snapshot/snapshot.js';

export function seriesLimits(get: GetOption): SeriesLimits {
  return {
    series: get('limit.series'),
    seriesPerVm: get('limit.series-per-vm'),
    labelLength: get('limit.label-length'),
  };
}

/** Snapshots with a limited number of series. All views must share one, so that each shows the same series. */
export class LimitedSnapshots {
  readonly #limiter: SeriesLimiter;
  readonly #steps: (isExported: boolean) => Steps<Snapshot>;
  #latest: Stepwise<Snapshot> | undefined;

  /** @param steps the steps of a snapshot without limits */
  constructor(limits: SeriesLimits, steps: (isExported: boolean) => Steps<Snapshot>) {
    this.#limiter = new SeriesLimiter(limits, sha256Tag);
    this.#steps = steps;
  }

  /** Takes a snapshot at once: see {@link TakeSnapshot}. */
  readonly take = (isExported = true): Snapshot => this.#begin(isExported).finish();

  /**
   * Takes one in pieces, between which the event loop does other work. A whole one of many VMs would hold up scrapes
   * and drains.
   */
  readonly takeInPieces = async (): Promise<Snapshot> => {
    const taking = this.#begin(true);
    while (taking.step()) await sleep(0);
    return taking.finish();
  };

  #begin(isExported: boolean): Stepwise<Snapshot> {
    // The limiter adds up one snapshot after the other.
    this.#latest?.complete();
    this.#latest = new Stepwise(this.#limitedSteps(isExported));
    return this.#latest;
  }

  *#limitedSteps(isExported: boolean): Steps<Snapshot> {
    return yield* this.#limiter.steps(yield* this.#steps(isExported));
  }
}

/** 128 bits of SHA-256, in 22 characters. */
export function sha256Tag(value: string): string {
  return createHash('sha256').update(value, 'utf16le').digest('base64url').slice(0, 22);
}
