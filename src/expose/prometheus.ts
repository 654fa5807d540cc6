import { Gauge, Registry } from 'prom-client';
import { CATALOGUE } from '../snapshot/catalogue.js';
import type { HistogramMetric, Metric, NumberMetric } from '../snapshot/metric.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { registerBuildInfo, registerProcessMetrics } from './own-metrics.js';
import { escapeLabelValue, formatNumber, PROMETHEUS_TEXT, type TextFormat } from './text-format.js';

export interface PrometheusOptions {
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  /** Include process_* and nodejs_*; default: true. */
  readonly process?: boolean;
}

/** Characters after which a piece of an exposition is handed over. */
const PIECE_LENGTH = 1 << 16;

/**
 * Writes snapshots as text for Prometheus. The catalogue's metrics are written straight from the snapshot; the metrics
 * of the agent's own process come from prom-client.
 */
export class PrometheusView {
  readonly #registry = new Registry();
  readonly #takeSnapshot: () => Snapshot;
  readonly #scrapeSeconds: Gauge;

  constructor({ takeSnapshot, version, process = true }: PrometheusOptions) {
    this.#takeSnapshot = takeSnapshot;
    registerBuildInfo(this.#registry, version);
    this.#scrapeSeconds = new Gauge({
      name: 'kvm_exit_exporter_scrape_seconds',
      help: 'Seconds of wall-clock time that it took to write the previous exposition.',
      registers: [this.#registry],
    });
    if (process) registerProcessMetrics(this.#registry);
  }

  /** Returns the whole exposition. */
  async render(format: TextFormat = PROMETHEUS_TEXT): Promise<string> {
    const pieces: string[] = [];
    for await (const piece of this.pieces(format)) pieces.push(piece);
    return pieces.join('');
  }

  /**
   * Yields the exposition piece by piece, so that other work gets the event loop in between. All pieces show the moment
   * at which the first one is asked for.
   */
  async *pieces(format: TextFormat): AsyncGenerator<string, void, undefined> {
    const ownMetrics: readonly OwnMetric[] = await this.#registry.getMetricsAsJSON();
    const startMs = performance.now();
    const snapshot = this.#takeSnapshot();
    for (const metric of CATALOGUE) yield* familyPieces(metric, snapshot, format);
    yield `${ownMetrics.map((metric) => ownFamily(metric, format)).join('')}${format.end}`;
    this.#scrapeSeconds.set((performance.now() - startMs) / 1000);
  }
}

function* familyPieces(metric: Metric, snapshot: Snapshot, format: TextFormat): Generator<string, void, undefined> {
  let text = format.head(metric);
  const lines =
    metric.type === 'histogram' ? histogramLines(metric, snapshot, format) : numberLines(metric, snapshot, format);
  for (const line of lines) {
    text += line;
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = '';
  }
  yield text;
}

function* numberLines(
  metric: NumberMetric,
  snapshot: Snapshot,
  format: TextFormat,
): Generator<string, void, undefined> {
  const name = format.sampleName(metric);
  const writer = new LabelWriter(metric.labels);
  for (const [labels, value] of metric.read(snapshot))
    yield `${name}${inBraces(writer.write(labels))} ${formatNumber(value)}\n`;
}

function* histogramLines(
  metric: HistogramMetric,
  snapshot: Snapshot,
  format: TextFormat,
): Generator<string, void, undefined> {
  const { name, bounds } = metric;
  const writer = new LabelWriter(metric.labels);
  const edges = bounds.map((edge) => `,le="${format.le(edge)}"} `);
  for (const [labels, { count, sumSeconds, buckets }] of metric.read(snapshot)) {
    const own = writer.write(labels);
    let text = '';
    for (let i = 0; i < edges.length; i++) text += `${name}_bucket{${own}${edges[i]}${buckets[i]}\n`;
    yield [
      text,
      `${name}_bucket{${own},le="+Inf"} ${count}\n`,
      `${name}_sum{${own}} ${formatNumber(sumSeconds)}\n`,
      `${name}_count{${own}} ${count}\n`,
    ].join('');
  }
}

/**
 * Writes the labels of one metric's samples. Consecutive samples have most values in common, which are escaped once.
 */
class LabelWriter {
  /** The text before each value: `vm="`, `",vcpu="` ... */
  readonly #starts: readonly string[];
  /** The values written last, and their text. */
  readonly #values: string[] = [];
  readonly #texts: string[] = [];

  constructor(names: readonly string[]) {
    this.#starts = names.map((name, index) => `${index === 0 ? '' : '",'}${name}="`);
  }

  /** Returns `vm="a",vcpu="0"`; '' for a metric without labels. */
  write(values: readonly string[]): string {
    let text = '';
    for (let i = 0; i < this.#starts.length; i++) {
      const value = values[i] ?? '';
      if (value !== this.#values[i]) {
        this.#values[i] = value;
        this.#texts[i] = `${this.#starts[i]}${escapeLabelValue(value)}`;
      }
      text += this.#texts[i];
    }
    return text === '' ? '' : `${text}"`;
  }
}

function inBraces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

/** A metric as prom-client's registry gives it. */
interface OwnMetric {
  readonly name: string;
  readonly help: string;
  /** A number according to prom-client's types, but in fact a word. */
  readonly type: unknown;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Partial<Record<string, string | number>>;
    /** Name of the sample in a histogram or summary. */
    readonly metricName?: string;
  }[];
}

function ownFamily({ name, help, type, values }: OwnMetric, format: TextFormat): string {
  const family = { name, help, type: String(type) };
  const lines = values.map(({ metricName, labels, value }) => {
    const labelValues = Object.entries(labels).map(([label, labelValue]) =>
      label === 'le' && typeof labelValue === 'number' ? format.le(labelValue) : String(labelValue),
    );
    const sample = family.type === 'counter' ? format.sampleName(family) : (metricName ?? name);
    return `${sample}${inBraces(new LabelWriter(Object.keys(labels)).write(labelValues))} ${formatNumber(value)}\n`;
  });
  return `${format.head(family)}${lines.join('')}`;
}
