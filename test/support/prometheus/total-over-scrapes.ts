import type { MetricSample } from './metrics-text.js';
import type { Samples } from './samples.js';

/**
 * Adds up a counter over several scrapes, while series may vanish in between. The last scrape alone is not enough: an
 * address that loses its series to a busier address takes its count with it, and starts at 0 if it comes back.
 */
export class TotalOverScrapes {
  readonly #name: string;
  readonly #labels: Readonly<Record<string, string>>;
  #latest = new Map<string, number>();
  /** Sum of the last values of the series that have vanished. */
  #vanished = 0;

  constructor(name: string, labels: Readonly<Record<string, string>>) {
    this.#name = name;
    this.#labels = labels;
  }

  /** Takes the next scrape into account; must be called for each of them. Returns the sum so far. */
  add(samples: Samples): number {
    const now = new Map(samples.of(this.#name, this.#labels).map((sample) => [seriesOf(sample), sample.value]));
    for (const [series, value] of this.#latest) if (!now.has(series)) this.#vanished += value;
    this.#latest = now;
    return [...now.values()].reduce((sum, value) => sum + value, this.#vanished);
  }
}

function seriesOf({ labels }: MetricSample): string {
  return JSON.stringify([...labels]);
}
