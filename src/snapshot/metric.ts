import type { Snapshot } from './snapshot.js';
import type { HistogramValue, MetricDescription } from './tables/row-table.js';

/** A point of a metric: label values in the order of the metric's `labels`, and the value. */
export type Sample = readonly [labels: readonly string[], value: number];

export type HistogramSample = readonly [labels: readonly string[], value: HistogramValue];

export interface NumberMetric extends MetricDescription {
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly string[];
  readonly read: (snapshot: Snapshot) => Iterable<Sample>;
}

export interface HistogramMetric extends MetricDescription {
  readonly type: 'histogram';
  readonly labels: readonly string[];
  /** Upper edges of the buckets, without the last one, +Inf. */
  readonly bounds: readonly number[];
  readonly read: (snapshot: Snapshot) => Iterable<HistogramSample>;
}

export type Metric = NumberMetric | HistogramMetric;
