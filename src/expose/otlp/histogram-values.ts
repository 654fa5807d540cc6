/** The values of histograms in OTLP, from the cumulative buckets of /metrics. */
import type { ExponentialHistogram, Histogram } from '@opentelemetry/sdk-metrics';
import { HALF_OCTAVE_SECONDS } from '../../count/counters/duration-histogram.js';
import type { HistogramSample } from '../../snapshot/metric.js';
import { toExponential } from './exponential-histogram.js';

/**
 * Converts cumulative buckets (up to each edge) into OpenTelemetry's (between two edges), minus what was sent before.
 */
export function toHistogram(
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

/** The same with exponential buckets, of half octaves where the durations were counted in these. */
export function exponentialOf(
  bounds: readonly number[],
  total: HistogramSample[1],
  sent: HistogramSample[1] | undefined,
): ExponentialHistogram {
  const { buckets, count, sum } = toHistogram(bounds, total, sent);
  const { halfOctaves } = total;
  const spread =
    halfOctaves === undefined || halfOctaves.length === 0
      ? { edges: bounds, counts: buckets.counts }
      : {
          edges: HALF_OCTAVE_SECONDS,
          counts: halfOctaves.map((number, index) => number - (sent?.halfOctaves?.[index] ?? 0)),
        };
  return toExponential(spread, count, sum ?? 0);
}
