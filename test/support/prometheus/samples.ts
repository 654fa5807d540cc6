import { type MetricSample, parseMetrics } from './metrics-text.js';

type Labels = Readonly<Record<string, string>>;

/** A scrape, to be asked for sums. Of the labels only those asked for must be equal. */
export class Samples {
  readonly all: readonly MetricSample[];

  /** @throws where the text is not a valid exposition */
  constructor(text: string) {
    this.all = [...parseMetrics(text).values()].flatMap(({ samples }) => samples);
  }

  of(name: string, labels: Labels = {}): MetricSample[] {
    const wanted = Object.entries(labels);
    return this.all.filter((own) => own.name === name && wanted.every(([key, value]) => own.labels.get(key) === value));
  }

  /** 0 where there is no such series. */
  sum(name: string, labels: Labels = {}): number {
    return this.of(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** Sums by the values of one label. */
  sumBy(label: string, name: string, labels: Labels = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const sample of this.of(name, labels)) {
      const key = sample.labels.get(label) ?? '';
      sums[key] = (sums[key] ?? 0) + sample.value;
    }
    return sums;
  }
}
