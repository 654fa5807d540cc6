import { type MetricSample, parseMetrics } from './metrics-text.js';

type Labels = Readonly<Record<string, string>>;

/**
 * The samples of one scrape. A query matches a sample that has all the labels asked for; further labels do not matter.
 */
export class Samples {
  readonly all: readonly MetricSample[];

  /** @throws if the text breaks a rule of Prometheus' text format */
  constructor(text: string) {
    this.all = [...parseMetrics(text).values()].flatMap(({ samples }) => samples);
  }

  of(name: string, labels: Labels = {}): MetricSample[] {
    const wanted = Object.entries(labels);
    return this.all.filter((own) => own.name === name && wanted.every(([key, value]) => own.labels.get(key) === value));
  }

  /** Sum of the matching samples; 0 if there are none. */
  sum(name: string, labels: Labels = {}): number {
    return this.of(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** Sums of the matching samples, by the value of `label`. */
  sumBy(label: string, name: string, labels: Labels = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const sample of this.of(name, labels)) {
      const key = sample.labels.get(label) ?? '';
      sums[key] = (sums[key] ?? 0) + sample.value;
    }
    return sums;
  }
}
