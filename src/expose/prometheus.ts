import { Gauge, Registry } from 'prom-client';
import { BUCKET_SECONDS } from '../count/counters/duration-histogram.js';
import { CATALOGUE, type HistogramMetric, type Metric, type NumberMetric } from '../snapshot/catalogue.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { registerBuildInfo, registerProcessMetrics } from './own-metrics.js';
import { escapedLabel, number, PROMETHEUS_TEXT, type TextFormat } from './text-format.js';

export interface PrometheusOptions {
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  /** Also process_* and nodejs_*; default: yes. */
  readonly process?: boolean;
}

/** Length of a piece, in characters. */
const PIECE = 1 << 16;

/**
 * A snapshot as text for Prometheus. The catalogue's metrics are written here, straight from the snapshot; those of the process come from
 * prom-client.
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
      help: 'Time it took to write the previous exposition.',
      registers: [this.#registry],
    });
    if (process) registerProcessMetrics(this.#registry);
  }

  /** The exposition, of one moment, in one piece. */
  async render(format: TextFormat = PROMETHEUS_TEXT): Promise<string> {
    const pieces: string[] = [];
    for await (const piece of this.pieces(format)) pieces.push(piece);
    return pieces.join('');
  }

  /** The same piece by piece, so that others get the event loop in between. All show the moment at which the first is asked for. */
  async *pieces(format: TextFormat): AsyncGenerator<string, void, undefined> {
    const own: readonly OwnMetric[] = await this.#registry.getMetricsAsJSON();
    const startMs = performance.now();
    const snapshot = this.#takeSnapshot();
    for (const metric of CATALOGUE) yield* family(metric, snapshot, format);
    yield `${own.map((metric) => ownFamily(metric, format)).join('')}${format.end}`;
    this.#scrapeSeconds.set((performance.now() - startMs) / 1000);
  }
}

function* family(metric: Metric, snapshot: Snapshot, format: TextFormat): Generator<string, void, undefined> {
  let text = format.head(metric);
  const lines =
    metric.type === 'histogram' ? histogramLines(metric, snapshot, format) : numberLines(metric, snapshot, format);
  for (const line of lines) {
    text += line;
    if (text.length < PIECE) continue;
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
  const starts = labelStarts(metric.labels);
  for (const [labels, value] of metric.read(snapshot))
    yield `${name}${braced(joined(starts, labels))} ${number(value)}\n`;
}

function* histogramLines(
  metric: HistogramMetric,
  snapshot: Snapshot,
  format: TextFormat,
): Generator<string, void, undefined> {
  const { name } = metric;
  const starts = labelStarts(metric.labels);
  const edges = BUCKET_SECONDS.map((edge) => `,le="${format.le(edge)}"} `);
  for (const [labels, { count, sumSeconds, buckets }] of metric.read(snapshot)) {
    const own = joined(starts, labels);
    let text = '';
    for (let i = 0; i < edges.length; i++) text += `${name}_bucket{${own}${edges[i]}${buckets[i]}\n`;
    yield `${text}${name}_bucket{${own},le="+Inf"} ${count}\n${name}_sum{${own}} ${number(sumSeconds)}\n${name}_count{${own}} ${count}\n`;
  }
}

/** What stands before each value: `vm="`, `",vcpu="` ... */
function labelStarts(labels: readonly string[]): string[] {
  return labels.map((label, index) => `${index === 0 ? '' : '",'}${label}="`);
}

function joined(starts: readonly string[], values: readonly string[]): string {
  let text = '';
  for (let i = 0; i < starts.length; i++) text += `${starts[i]}${escapedLabel(values[i] ?? '')}`;
  return text === '' ? '' : `${text}"`;
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

/** As prom-client has it. */
interface OwnMetric {
  readonly name: string;
  readonly help: string;
  /** A number by its typings, a word in fact. */
  readonly type: unknown;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Partial<Record<string, string | number>>;
    /** Of the parts of a histogram. */
    readonly metricName?: string;
  }[];
}

/** A few dozen lines in all. */
function ownFamily({ name, help, type, values }: OwnMetric, format: TextFormat): string {
  const family = { name, help, type: String(type) };
  const lines = values.map(({ metricName, labels, value }) => {
    const words = Object.entries(labels).map(([label, word]) =>
      label === 'le' && typeof word === 'number' ? format.le(word) : String(word),
    );
    const sample = family.type === 'counter' ? format.sampleName(family) : (metricName ?? name);
    return `${sample}${braced(joined(labelStarts(Object.keys(labels)), words))} ${number(value)}\n`;
  });
  return `${format.head(family)}${lines.join('')}`;
}
