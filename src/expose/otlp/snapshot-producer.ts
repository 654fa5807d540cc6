/**
 * Converts snapshots into OpenTelemetry metrics: the same catalogue as /metrics, with its OpenTelemetry names and
 * units, and the metrics of the agent's own process.
 *
 * The SDK's instruments do not fit: observable counters keep exporting VMs that are gone, and beyond 2,000 label sets
 * they lose counts (sdk-metrics 2.12). Its reader builds all points at once, which blocks the event loop and takes
 * memory. So the points are built here, a batch at a time, as the exporter expects them.
 */
import { type HrTime, ValueType } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { CATALOGUE } from '../../snapshot/catalogue.js';
import type { HistogramMetric, HistogramSample, Metric, NumberMetric } from '../../snapshot/metric.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { exponentialOf, toHistogram } from './histogram-values.js';
import { type DeltaState, SeriesStates, type Total, type TotalAt } from './series-states.js';

/** `prometheus`: names and labels as /metrics has them, which no receiver has to translate. */
export type MetricNames = 'opentelemetry' | 'prometheus';

export interface SnapshotTaker {
  take(): Snapshot;
  /** Default: {@link take} */
  takeInPieces?(): Promise<Snapshot>;
}

export interface ProducerOptions {
  readonly snapshots: SnapshotTaker;
  /** Metrics besides those of the catalogue. */
  readonly more?: readonly NumberMetric[];
  /**
   * True: delta temporality, the difference to the last acknowledged export. False: cumulative, the total since the
   * start.
   */
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
  /** Default: opentelemetry. */
  readonly names?: MetricNames | undefined;
  /** True for histograms with exponential buckets, false for those with the bounds of /metrics. Default: false */
  readonly exponential?: boolean | undefined;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/** What the points of one metric are made with. */
interface Collection {
  readonly states: SeriesStates;
  readonly now: HrTime;
  /** VM label -> number of its series, which changes when they begin again. */
  readonly lives: ReadonlyMap<string, number>;
}

/** A point with what is known of its series, to be updated once the receiver has answered. */
interface TrackedPoint<T> extends DataPoint<T> {
  /** Undefined for a total. */
  readonly delta: DeltaState | undefined;
  readonly total: Total;
  /** True if it was sent before. */
  readonly isRepeated: boolean;
}

/**
 * Weight of the points in a batch: 1 for a number, more for a histogram. A batch of numbers is about 0.2 MB. Building
 * and encoding it takes some 5 ms each, on a busy machine 20, and in between the event loop can do other work.
 */
const BATCH_WEIGHT = 2000;

export class SnapshotProducer {
  readonly #options: ProducerOptions;
  readonly #metrics: readonly Metric[];
  readonly #now: () => number;
  readonly #states = new Map<Metric, SeriesStates>();
  #snapshots: SnapshotTaker;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#metrics = [...CATALOGUE, ...(options.more ?? [])];
    this.#now = options.now ?? Date.now;
    const start = hrTime(this.#now());
    for (const metric of this.#metrics) this.#states.set(metric, new SeriesStates(start, this.#isDelta(metric)));
    this.#snapshots = options.snapshots;
  }

  /** Takes a last snapshot, which all later exports contain. Call it before the sources are closed. */
  freeze(): void {
    const last = this.#snapshots.take();
    this.#snapshots = { take: () => last };
  }

  /** True if the receiver has not answered all differences: what was counted since is in none of them. */
  get isUnanswered(): boolean {
    for (const states of this.#states.values()) if (states.isUnanswered) return true;
    return false;
  }

  /**
   * Takes a snapshot, and returns it in parts, each of which is made when it is asked for. The caller may stop before
   * the last one: a series that is in none of the parts is not forgotten then.
   */
  async batches(): Promise<Iterable<readonly MetricData[]>> {
    const snapshot = await (this.#snapshots.takeInPieces?.() ?? this.#snapshots.take());
    return this.#batchesOf(snapshot, hrTime(this.#now()));
  }

  *#batchesOf(snapshot: Snapshot, now: HrTime): Generator<readonly MetricData[], void, undefined> {
    const lives = new Map(snapshot.vms.map(({ vm, series }) => [vm, series]));
    let batch: MetricData[] = [];
    let weight = 0;
    for (const [metric, states] of this.#states) {
      const weightOfPoint = metric.type === 'histogram' ? 1 + metric.bounds.length / 4 : 1;
      let points: TrackedPoint<unknown>[] = [];
      states.beginCollection();
      for (const point of this.#points(metric, snapshot, { states, now, lives })) {
        points.push(point);
        weight += weightOfPoint;
        if (weight < BATCH_WEIGHT) continue;
        yield [...batch, this.#data(metric, points)];
        [batch, points, weight] = [[], [], 0];
      }
      states.endCollection(now);
      if (points.length > 0) batch.push(this.#data(metric, points));
    }
    if (batch.length > 0) yield batch;
  }

  #data(metric: Metric, points: TrackedPoint<unknown>[]): MetricData {
    const isDelta = this.#isDelta(metric);
    const common = {
      descriptor: descriptorOf(metric, this.#options.names),
      aggregationTemporality: isDelta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    };
    if (metric.type === 'histogram' && this.#options.exponential === true)
      return {
        ...common,
        dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
        dataPoints: points as DataPoint<ExponentialHistogram>[],
      };
    if (metric.type === 'histogram')
      return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: points as DataPoint<Histogram>[] };
    const dataPoints = points as DataPoint<number>[];
    return metric.type === 'counter'
      ? { ...common, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: true }
      : { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
  }

  #attributeNames({ labels }: Metric): readonly string[] {
    return this.#options.names === 'prometheus' ? labels.map((label) => label.replaceAll('.', '_')) : labels;
  }

  #isDelta({ type }: Metric): boolean {
    const { sums, histograms } = this.#options.delta;
    return { counter: sums, histogram: histograms, gauge: false }[type];
  }

  #points(metric: Metric, snapshot: Snapshot, collection: Collection): Iterable<TrackedPoint<unknown>> {
    return metric.type === 'histogram'
      ? this.#histograms(metric, metric.read(snapshot), collection)
      : this.#numbers(metric, metric.read(snapshot), collection);
  }

  *#numbers(
    metric: NumberMetric,
    samples: Iterable<readonly [labels: readonly string[], value: number]>,
    { states, now, lives }: Collection,
  ): Generator<TrackedPoint<number>, void, undefined> {
    const vmAt = metric.labels.indexOf('vm');
    const names = this.#attributeNames(metric);
    for (const [labels, total] of samples) {
      // A gauge does not restart when its value falls.
      const value = metric.type === 'counter' ? total : 0;
      const { start, delta } = states.update(labels, value, lives.get(labels[vmAt] ?? '') ?? 0);
      const acknowledged = typeof delta?.acknowledged?.total === 'number' ? delta.acknowledged.total : 0;
      if (delta !== undefined && total === acknowledged && isAcknowledged(delta)) continue;
      const point = pointOf(start, delta, { total, at: now });
      const increase = Number(point.total) - acknowledged;
      yield { ...point, attributes: attributesOf(names, labels), value: increase };
    }
  }

  *#histograms(
    metric: HistogramMetric,
    samples: Iterable<HistogramSample>,
    { states, now, lives }: Collection,
  ): Generator<TrackedPoint<Histogram | ExponentialHistogram>, void, undefined> {
    const convert = this.#options.exponential === true ? exponentialOf : toHistogram;
    const vmAt = metric.labels.indexOf('vm');
    const names = this.#attributeNames(metric);
    for (const [labels, total] of samples) {
      const { start, delta } = states.update(labels, total.count, lives.get(labels[vmAt] ?? '') ?? 0);
      const sent = typeof delta?.acknowledged?.total === 'object' ? delta.acknowledged.total : undefined;
      if (delta !== undefined && total.count === (sent?.count ?? 0) && isAcknowledged(delta)) continue;
      const point = pointOf(start, delta, { total, at: now });
      const value = convert(metric.bounds, typeof point.total === 'object' ? point.total : total, sent);
      yield { ...point, attributes: attributesOf(names, labels), value };
    }
  }
}

/** Call it with metrics that the receiver has acknowledged: the next deltas are differences to these. */
export function markAcknowledged(metrics: readonly MetricData[]): void {
  for (const { delta, total, endTime } of deltasOf(metrics)) {
    delta.acknowledged = { total, at: endTime };
    delta.unanswered = undefined;
  }
}

/**
 * Call it with metrics that the receiver has refused: the next deltas contain them. A delta that was sent before may
 * have been received then, so it stays as it is.
 * @param isInvalid true if the receiver will never take these points: it may have those that were sent before
 */
export function markRefused(metrics: readonly MetricData[], isInvalid: boolean): void {
  for (const { delta, total, endTime, isRepeated } of deltasOf(metrics)) {
    if (isRepeated && !isInvalid) continue;
    if (isRepeated) delta.acknowledged = { total, at: endTime };
    delta.unanswered = undefined;
  }
}

type Delta = TrackedPoint<unknown> & { readonly delta: DeltaState };

function* deltasOf(metrics: readonly MetricData[]): IterableIterator<Delta> {
  for (const { aggregationTemporality, dataPoints } of metrics)
    if (aggregationTemporality === AggregationTemporality.DELTA)
      for (const point of dataPoints) if (isDelta(point)) yield point;
}

/**
 * The next point of a series. A delta that was not answered is sent again with the same total and times: a receiver
 * that has it already can tell. The next export has what was counted since.
 */
function pointOf(
  start: HrTime,
  delta: DeltaState | undefined,
  latest: TotalAt,
): Omit<TrackedPoint<unknown>, 'attributes' | 'value'> {
  const isRepeated = delta?.unanswered !== undefined;
  const { total, at } = delta?.unanswered ?? latest;
  if (delta !== undefined) delta.unanswered = { total, at };
  return { startTime: notAfter(delta?.acknowledged?.at ?? start, at), endTime: at, delta, total, isRepeated };
}

/** False for a new series, which is sent even at 0, and for one whose latest difference has no answer. */
function isAcknowledged({ acknowledged, unanswered }: DeltaState): boolean {
  return acknowledged !== undefined && unanswered === undefined;
}

function isDelta(point: DataPoint<unknown>): point is Delta {
  return 'delta' in point && point.delta !== undefined;
}

/** Start of a point's period; not later than `now`, even if the wall clock was set back since. */
function notAfter(start: HrTime, now: HrTime): HrTime {
  return start[0] > now[0] || (start[0] === now[0] && start[1] > now[1]) ? now : start;
}

function descriptorOf({ name, otel, help, type }: Metric, names: MetricNames | undefined): MetricData['descriptor'] {
  // Counts are integers. Seconds are not, and gauges may not be.
  const valueType = type === 'counter' && otel.unit !== 's' ? ValueType.INT : ValueType.DOUBLE;
  return { name: names === 'prometheus' ? name : otel.name, unit: otel.unit, description: help, valueType };
}

function attributesOf(labels: readonly string[], values: readonly string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (let index = 0; index < labels.length; index++) attributes[labels[index] ?? ''] = values[index] ?? '';
  return attributes;
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
