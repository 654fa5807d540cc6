import { Registry } from 'prom-client';
import { CATALOGUE, type HistogramSample, type Metric } from '../count/catalogue.js';
import { BUCKET_SECONDS } from '../count/duration.js';
import type { Snapshot } from '../count/snapshot.js';
import { registerOwnMetrics } from './own-metrics.js';

/**
 * A snapshot as Prometheus text, by prom-client.
 *
 * The catalogue's metrics are registered as objects that answer `get()` from the snapshot of the scrape, not as prom-client counters:
 * filling counters per event costs 300 ns and more each, refilling them at each scrape half as much again as this
 * (100,000 series: 211 ms against 347 ms), and what a stopped VM left in them would have to be found and removed.
 */
export class PrometheusView {
  readonly #registry = new Registry();
  readonly #takeSnapshot: () => Snapshot;
  #snapshot: Snapshot | undefined;

  constructor(takeSnapshot: () => Snapshot, version: string) {
    this.#takeSnapshot = takeSnapshot;
    for (const metric of CATALOGUE) this.#register(metric);
    registerOwnMetrics(this.#registry, version);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The exposition, of one moment: prom-client asks every metric before this function's first await. */
  async render(): Promise<string> {
    this.#snapshot = this.#takeSnapshot();
    const text = this.#registry.metrics();
    this.#snapshot = undefined;
    return text;
  }

  #register(metric: Metric): void {
    const { name, help, type, labels } = metric;
    const get = () => ({ name, help, type, aggregator: 'sum', values: this.#values(metric, labels) });
    // prom-client's typings know its own classes only; its registry asks for no more than name and get().
    this.#registry.registerMetric({ name, help, type, get } as unknown as Parameters<Registry['registerMetric']>[0]);
  }

  #values(metric: Metric, labels: readonly string[]): PromValue[] {
    if (this.#snapshot === undefined) return [];
    if (metric.type === 'histogram')
      return Array.from(metric.read(this.#snapshot)).flatMap((sample) => histogram(metric, sample));
    return Array.from(metric.read(this.#snapshot), ([values, value]) => ({ labels: labelled(labels, values), value }));
  }
}

interface PromValue {
  readonly labels: Record<string, string>;
  readonly value: number;
  /** Where it is not the metric's own: a part of a histogram. */
  readonly metricName?: string;
}

function histogram({ name, labels }: Metric, [values, { count, sumSeconds, buckets }]: HistogramSample): PromValue[] {
  const own = labelled(labels, values);
  const bucket = (le: string, value: number) => ({ metricName: `${name}_bucket`, labels: { ...own, le }, value });
  return [
    ...buckets.map((value, index) => bucket(String(BUCKET_SECONDS[index]), value)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels: own, value: sumSeconds },
    { metricName: `${name}_count`, labels: own, value: count },
  ];
}

function labelled(labels: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(labels.map((label, index) => [label, values[index] ?? '']));
}
