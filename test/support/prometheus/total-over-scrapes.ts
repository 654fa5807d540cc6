import type { MetricSample } from './metrics-text.js';
import type { Samples } from './samples.js';

/**
 * What the series of a counter told in all, over scrapes. Not their sum at the end: an address that loses its series to a busier one takes
 * with it what that told, and starts anew if it ever comes back.
 */
export class TotalOverScrapes {
  readonly #name: string;
  readonly #labels: Readonly<Record<string, string>>;
  #latest = new Map<string, number>();
  /** By series that are gone. */
  #gone = 0;

  constructor(name: string, labels: Readonly<Record<string, string>>) {
    this.#name = name;
    this.#labels = labels;
  }

  /** To be called with each scrape, none left out. Returns the sum so far. */
  add(samples: Samples): number {
    const now = new Map(samples.of(this.#name, this.#labels).map((sample) => [seriesOf(sample), sample.value]));
    for (const [series, value] of this.#latest) if (!now.has(series)) this.#gone += value;
    this.#latest = now;
    return [...now.values()].reduce((sum, value) => sum + value, this.#gone);
  }
}

function seriesOf({ labels }: MetricSample): string {
  return JSON.stringify([...labels]);
}
