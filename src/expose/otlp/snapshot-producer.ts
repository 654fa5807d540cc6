/**
 * Converts snapshots into OpenTelemetry metrics: the same catalogue as /metrics, with its OpenTelemetry names and
 * units.
 *
 * The SDK's instruments do not fit: observable counters keep exporting VMs that are gone, and beyond 2,000 label sets
 * they lose counts (sdk-metrics 2.12). The points of a MetricProducer are exported unchanged. The SDK marks that option
 * as experimental, so package.json pins the exact version, and the tests use a decoder of their own.
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
import { CATALOGUE } from '../../snapshot/catalogue.js';
import type { HistogramMetric, HistogramSample, Metric, NumberMetric } from '../../snapshot/metric.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { type Collection, type SeriesState, SeriesStates, type Total, type TotalAt } from './series-states.js';

export interface ProducerOptions {
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  /**
   * True: delta temporality, the difference to the last acknowledged export. False: cumulative, the total since the
   * start.
   */
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/** A point with its series, so that the series can be updated once the receiver has acknowledged the point. */
interface TrackedPoint<T> extends DataPoint<T> {
  readonly series: SeriesState;
  readonly total: Total;
  /** True if it was sent before. */
  readonly isRepeated: boolean;
}

export class SnapshotProducer implements MetricProducer {
  readonly #options: ProducerOptions;
  readonly #now: () => number;
  readonly #states = new Map<Metric, SeriesStates>();
  /** VM label -> number of its series at the latest collection. */
  #series = new Map<string, number>();
  #previous: HrTime;
  #takeSnapshot: () => Snapshot;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#previous = hrTime(this.#now());
    this.#takeSnapshot = options.takeSnapshot;
  }

  /** Takes a last snapshot, which all later exports contain. Call it before the sources are closed. */
  freeze(): void {
    const last = this.#takeSnapshot();
    this.#takeSnapshot = () => last;
  }

  /** True if the receiver has not answered all differences: what was counted since is in none of them. */
  get isUnanswered(): boolean {
    for (const states of this.#states.values()) if (states.isUnanswered) return true;
    return false;
  }

  async collect(): Promise<CollectionResult> {
    const snapshot = this.#takeSnapshot();
    const collection = { now: hrTime(this.#now()), previous: this.#previous, restarted: this.#restartedVms(snapshot) };
    const metrics = CATALOGUE.map((metric) => this.#metric(metric, snapshot, collection));
    this.#previous = collection.now;
    const scope = { name: 'kvm-exit-exporter', version: this.#options.version };
    const scopeMetrics = [{ scope, metrics: metrics.filter(({ dataPoints }) => dataPoints.length > 0) }];
    // The SDK replaces the resource by its own.
    return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] };
  }

  /** Labels of VMs whose series were dropped since the previous collection, and began again. */
  #restartedVms(snapshot: Snapshot): Set<string> {
    const series = new Map(snapshot.vms.map(({ vm, series: number }) => [vm, number]));
    const restarted = [...series].filter(([vm, now]) => (this.#series.get(vm) || now) !== now);
    this.#series = series;
    return new Set(restarted.map(([vm]) => vm));
  }

  #metric(metric: Metric, snapshot: Snapshot, collection: Collection): MetricData {
    const states = this.#states.get(metric) ?? new SeriesStates();
    this.#states.set(metric, states);
    states.beginCollection();
    const data =
      metric.type === 'histogram'
        ? { ...this.#histograms(metric, metric.read(snapshot), states, collection) }
        : this.#numbers(metric, snapshot, states, collection);
    states.endCollection();
    return data;
  }

  #numbers(metric: NumberMetric, snapshot: Snapshot, states: SeriesStates, collection: Collection): MetricData {
    const delta = metric.type === 'counter' && this.#options.delta.sums;
    const vmAt = metric.labels.indexOf('vm');
    const dataPoints: TrackedPoint<number>[] = [];
    for (const [labels, total] of metric.read(snapshot)) {
      // A gauge does not restart when its value falls.
      const value = metric.type === 'counter' ? total : 0;
      const series = states.update(labels.join('\0'), value, labels[vmAt], collection);
      const acknowledged = delta && typeof series.acknowledged?.total === 'number' ? series.acknowledged.total : 0;
      if (delta && total === acknowledged && isTold(series)) continue;
      const point = pointOf(series, delta, { total, at: collection.now });
      const increase = Number(point.total) - acknowledged;
      dataPoints.push({ ...point, attributes: attributesOf(metric, labels), value: increase });
    }
    const common = { descriptor: descriptorOf(metric), aggregationTemporality: temporality(delta), dataPoints };
    return metric.type === 'counter'
      ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true }
      : { ...common, dataPointType: DataPointType.GAUGE };
  }

  #histograms(
    metric: HistogramMetric,
    samples: Iterable<HistogramSample>,
    states: SeriesStates,
    collection: Collection,
  ): MetricData {
    const delta = this.#options.delta.histograms;
    const vmAt = metric.labels.indexOf('vm');
    const dataPoints: TrackedPoint<Histogram>[] = [];
    for (const [labels, total] of samples) {
      const series = states.update(labels.join('\0'), total.count, labels[vmAt], collection);
      const { acknowledged } = series;
      const sent = delta && typeof acknowledged?.total === 'object' ? acknowledged.total : undefined;
      if (delta && total.count === (sent?.count ?? 0) && isTold(series)) continue;
      const point = pointOf(series, delta, { total, at: collection.now });
      const value = toHistogram(metric.bounds, typeof point.total === 'object' ? point.total : total, sent);
      dataPoints.push({ ...point, attributes: attributesOf(metric, labels), value });
    }
    return {
      descriptor: descriptorOf(metric),
      aggregationTemporality: temporality(delta),
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints,
    };
  }
}

/** Call it with metrics that the receiver has acknowledged: the next deltas are differences to these. */
export function markAcknowledged(metrics: readonly MetricData[]): void {
  for (const { series, total, endTime } of deltasOf(metrics)) {
    series.acknowledged = { total, at: endTime };
    series.unanswered = undefined;
  }
}

/**
 * Call it with metrics that the receiver has refused: the next deltas contain them. A delta that was sent before may
 * have been received then, so it stays as it is.
 * @param isInvalid true if the receiver will never take these points: it may have those that were sent before
 */
export function markRefused(metrics: readonly MetricData[], isInvalid: boolean): void {
  for (const { series, total, endTime, isRepeated } of deltasOf(metrics)) {
    if (isRepeated && !isInvalid) continue;
    if (isRepeated) series.acknowledged = { total, at: endTime };
    series.unanswered = undefined;
  }
}

function* deltasOf(metrics: readonly MetricData[]): IterableIterator<TrackedPoint<unknown>> {
  for (const { aggregationTemporality, dataPoints } of metrics)
    if (aggregationTemporality === AggregationTemporality.DELTA)
      for (const point of dataPoints) if (isTracked(point)) yield point;
}

/**
 * The next point of a series. A delta that was not answered is sent again with the same total and times: a receiver
 * that has it already can tell. The next export has what was counted since.
 */
function pointOf(
  series: SeriesState,
  delta: boolean,
  latest: TotalAt,
): Omit<TrackedPoint<unknown>, 'attributes' | 'value'> {
  const isRepeated = delta && series.unanswered !== undefined;
  const { total, at } = (delta ? series.unanswered : undefined) ?? latest;
  if (delta) series.unanswered = { total, at };
  return { startTime: startOf(series, delta, at), endTime: at, series, total, isRepeated };
}

/** False for a new series, which is sent even at 0, and for one whose latest difference has no answer. */
function isTold({ acknowledged, unanswered }: SeriesState): boolean {
  return acknowledged !== undefined && unanswered === undefined;
}

function isTracked(point: DataPoint<unknown>): point is TrackedPoint<unknown> {
  return 'series' in point;
}

/** Start of a point's period; not later than `now`, even if the wall clock was set back since. */
function startOf(series: SeriesState, delta: boolean, now: HrTime): HrTime {
  const start = (delta ? series.acknowledged?.at : undefined) ?? series.start;
  return start[0] > now[0] || (start[0] === now[0] && start[1] > now[1]) ? now : start;
}

/**
 * Converts cumulative buckets (up to each edge) into OpenTelemetry's (between two edges), minus what was sent before.
 */
function toHistogram(
  bounds: readonly number[],
  total: HistogramSample[1],
  sent: HistogramSample[1] | undefined,
): Histogram {
  const upTo = (index: number) => (total.buckets[index] ?? 0) - (sent?.buckets[index] ?? 0);
  const count = total.count - (sent?.count ?? 0);
  const counts = bounds.map((_, index) => upTo(index) - (index === 0 ? 0 : upTo(index - 1)));
  counts.push(count - upTo(bounds.length - 1));
  return { buckets: { boundaries: [...bounds], counts }, count, sum: total.sumSeconds - (sent?.sumSeconds ?? 0) };
}

function descriptorOf({ otel: { name, unit }, help, type }: Metric): MetricData['descriptor'] {
  // Counts are integers. Seconds are not, and gauges may not be.
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
