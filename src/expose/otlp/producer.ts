/**
 * A snapshot as OpenTelemetry metrics: the same catalogue as /metrics, under its OpenTelemetry names and units.
 *
 * The SDK's own instruments cannot say what we have to say: observable counters go on exporting VMs that are gone, and beyond 2,000 label sets
 * they lose counts (sdk-metrics 2.12). A MetricProducer hands over finished points, untouched. The option that takes it is marked
 * experimental, hence the exact version in package.json and the tests against a decoder of our own.
 */
import { type HrTime, ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import { BUCKET_SECONDS } from '../../count/counters/duration-histogram.js';
import { CATALOGUE, type HistogramSample, type Metric, type NumberMetric } from '../../snapshot/catalogue.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { type Collection, type SeriesState, SeriesStates, type Total } from './series.js';

export interface ProducerOptions {
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  /** Send what came since the last export that arrived, not all since the start. */
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
  /** Wall clock. */
  readonly now?: () => number;
}

/** A point that knows whose it is, so that it can be noted once it has arrived. */
interface TrackedPoint<T> extends DataPoint<T> {
  readonly series: SeriesState;
  readonly total: Total;
}

const BOUNDARIES = [...BUCKET_SECONDS];

export class SnapshotProducer implements MetricProducer {
  readonly #options: ProducerOptions;
  readonly #now: () => number;
  readonly #states = new Map<Metric, SeriesStates>();
  /** By VM: which process it is. */
  #lives = new Map<string, string>();
  #before: HrTime;
  #takeSnapshot: () => Snapshot;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#before = hrTime(this.#now());
    this.#takeSnapshot = options.takeSnapshot;
  }

  /** From now on the present figures are exported: the sources are about to be closed. */
  freeze(): void {
    const last = this.#takeSnapshot();
    this.#takeSnapshot = () => last;
  }

  async collect(): Promise<CollectionResult> {
    const snapshot = this.#takeSnapshot();
    const collection = { now: hrTime(this.#now()), before: this.#before, restarted: this.#restarted(snapshot) };
    const metrics = CATALOGUE.map((metric) => this.#metric(metric, snapshot, collection));
    this.#before = collection.now;
    const scope = { name: 'kvm-exit-exporter', version: this.#options.version };
    const scopeMetrics = [{ scope, metrics: metrics.filter(({ dataPoints }) => dataPoints.length > 0) }];
    // The SDK puts its own resource in.
    return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] };
  }

  #restarted(snapshot: Snapshot): Set<string> {
    const lives = new Map(snapshot.vms.map(({ vm, pid, uuid }) => [vm, `${pid} ${uuid}`]));
    const restarted = [...lives].filter(([vm, life]) => this.#lives.has(vm) && this.#lives.get(vm) !== life);
    this.#lives = lives;
    return new Set(restarted.map(([vm]) => vm));
  }

  #metric(metric: Metric, snapshot: Snapshot, collection: Collection): MetricData {
    const states = this.#states.get(metric) ?? new SeriesStates();
    this.#states.set(metric, states);
    states.begin();
    const data =
      metric.type === 'histogram'
        ? { ...this.#histograms(metric, metric.read(snapshot), states, collection) }
        : this.#numbers(metric, snapshot, states, collection);
    states.end();
    return data;
  }

  #numbers(metric: NumberMetric, snapshot: Snapshot, states: SeriesStates, collection: Collection): MetricData {
    const delta = metric.type === 'counter' && this.#options.delta.sums;
    const vmAt = metric.labels.indexOf('vm');
    const dataPoints: TrackedPoint<number>[] = [];
    for (const [labels, total] of metric.read(snapshot)) {
      // A gauge has no start: a fall of its value is none.
      const value = metric.type === 'counter' ? total : 0;
      const series = states.state(labels.join('\0'), value, labels[vmAt], collection);
      const arrived = delta && typeof series.arrived?.value === 'number' ? series.arrived.value : 0;
      if (delta && total === arrived) continue;
      const startTime = startOf(series, delta, collection.now);
      const attributes = attributesOf(metric, labels);
      dataPoints.push({ startTime, endTime: collection.now, attributes, value: total - arrived, series, total });
    }
    const common = { descriptor: descriptorOf(metric), aggregationTemporality: temporality(delta), dataPoints };
    return metric.type === 'counter'
      ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true }
      : { ...common, dataPointType: DataPointType.GAUGE };
  }

  #histograms(
    metric: Metric,
    samples: Iterable<HistogramSample>,
    states: SeriesStates,
    collection: Collection,
  ): MetricData {
    const delta = this.#options.delta.histograms;
    const vmAt = metric.labels.indexOf('vm');
    const dataPoints: TrackedPoint<Histogram>[] = [];
    for (const [labels, total] of samples) {
      const series = states.state(labels.join('\0'), total.count, labels[vmAt], collection);
      const arrived = delta && typeof series.arrived?.value === 'object' ? series.arrived.value : undefined;
      if (delta && total.count === (arrived?.count ?? 0)) continue;
      const startTime = startOf(series, delta, collection.now);
      const attributes = attributesOf(metric, labels);
      const value = histogram(total, arrived);
      dataPoints.push({ startTime, endTime: collection.now, attributes, value, series, total });
    }
    return {
      descriptor: descriptorOf(metric),
      aggregationTemporality: temporality(delta),
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints,
    };
  }
}

/** To be called with what has arrived: what is sent next as a difference is the difference to it. */
export function markArrived(metrics: readonly MetricData[]): void {
  for (const { aggregationTemporality, dataPoints } of metrics) {
    if (aggregationTemporality !== AggregationTemporality.DELTA) continue;
    for (const point of dataPoints)
      if (isTracked(point)) point.series.arrived = { value: point.total, at: point.endTime };
  }
}

function isTracked(point: DataPoint<unknown>): point is TrackedPoint<unknown> {
  return 'series' in point;
}

/** Never later than `now`: the wall clock may have been set back since. */
function startOf(series: SeriesState, delta: boolean, now: HrTime): HrTime {
  const start = (delta ? series.arrived?.at : undefined) ?? series.start;
  return start[0] > now[0] || (start[0] === now[0] && start[1] > now[1]) ? now : start;
}

/** Ours count up to an edge each, theirs between two. */
function histogram(total: HistogramSample[1], arrived: HistogramSample[1] | undefined): Histogram {
  const upTo = (index: number) => (total.buckets[index] ?? 0) - (arrived?.buckets[index] ?? 0);
  const count = total.count - (arrived?.count ?? 0);
  const counts = BOUNDARIES.map((_, index) => upTo(index) - (index === 0 ? 0 : upTo(index - 1)));
  counts.push(count - upTo(BOUNDARIES.length - 1));
  return { buckets: { boundaries: BOUNDARIES, counts }, count, sum: total.sumSeconds - (arrived?.sumSeconds ?? 0) };
}

function descriptorOf({ otel: { name, unit }, help, type }: Metric): MetricData['descriptor'] {
  // What is counted is whole; times are not, and nobody knows of gauges.
  const valueType = type === 'counter' && unit !== 's' ? ValueType.INT : ValueType.DOUBLE;
  return { name, unit, description: help, valueType };
}

function temporality(delta: boolean): AggregationTemporality {
  return delta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
}

function attributesOf({ labels }: Metric, values: readonly string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (let index = 0; index < labels.length; index++) attributes[labels[index] ?? ''] = values[index] ?? '';
  return attributes;
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
