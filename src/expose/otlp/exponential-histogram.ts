import type { ExponentialHistogram } from '@opentelemetry/sdk-metrics';

/** Buckets grow by 2 ** (1 / 8), 9 %. */
const SCALE = 3;
const PER_OCTAVE = 2 ** SCALE;

/** Counts between edges: one more than there are edges, from 0 to the first one up to those above the last one. */
export interface Spread {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/**
 * Makes OpenTelemetry's exponential buckets, which Prometheus keeps as a native histogram. All counts between two edges
 * go to the bucket of the middle (the geometric mean) of the edges. With edges at halves of octaves a value moves by at
 * most a third: sqrt(1.5) * 2 ** (1 / 8) = 1.34.
 */
export function toExponential({ edges, counts }: Spread, count: number, sum: number): ExponentialHistogram {
  const buckets = new Map<number, number>();
  counts.forEach((number, index) => {
    if (number === 0) return;
    const bucket = bucketOf(middleOf(edges, index));
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + number);
  });
  const used = [...buckets.keys()];
  const offset = used.length === 0 ? 0 : Math.min(...used);
  const length = used.length === 0 ? 0 : Math.max(...used) - offset + 1;
  const bucketCounts = Array.from({ length }, (_, index) => buckets.get(offset + index) ?? 0);
  return {
    count,
    sum,
    scale: SCALE,
    zeroCount: 0,
    positive: { offset, bucketCounts },
    negative: { offset: 0, bucketCounts: [] },
  };
}

/** The index of the bucket (2 ** (i / 8), 2 ** ((i + 1) / 8)] that holds a value. */
function bucketOf(value: number): number {
  return Math.ceil(Math.log2(value) * PER_OCTAVE) - 1;
}

/** The first interval begins at 0, and the last one has no end: they count as one octave. */
function middleOf(edges: readonly number[], index: number): number {
  const [low, high] = [edges[index - 1], edges[index]];
  if (low !== undefined && high !== undefined) return Math.sqrt(low * high);
  return high !== undefined ? high / Math.SQRT2 : (low ?? 1) * Math.SQRT2;
}
