/**
 * Count, sum, minimum, maximum and a histogram of durations in one typed array, recorded without a logarithm.
 *
 * Buckets are halves of octaves from 500 ns on: [500, 750), [750, 1000), [1000, 1500) ns ... up to 4.2 s. In a duration
 * in units of 500/512 ns the position of the highest bit is the octave, and the bit below it the half.
 */
export type DurationHistogram = Float64Array;

const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;
const FIRST_BUCKET = 4;

const LOWEST_NS = 500;
const UNITS_PER_NS = 512 / LOWEST_NS;
const LOWEST_EXPONENT = 9;
const OCTAVES = 23;
/** One bucket below 500 ns, two per octave, one above all octaves. */
const BUCKETS = 1 + 2 * OCTAVES + 1;

export function newHistogram(): DurationHistogram {
  const histogram = new Float64Array(FIRST_BUCKET + BUCKETS);
  histogram[MIN] = Number.POSITIVE_INFINITY;
  return histogram;
}

/** @param ns not negative */
export function recordDuration(histogram: DurationHistogram, ns: number): void {
  histogram[COUNT] = (histogram[COUNT] as number) + 1;
  histogram[SUM] = (histogram[SUM] as number) + ns;
  if (ns < (histogram[MIN] as number)) histogram[MIN] = ns;
  if (ns > (histogram[MAX] as number)) histogram[MAX] = ns;
  const bucket = FIRST_BUCKET + bucketOf(ns);
  histogram[bucket] = (histogram[bucket] as number) + 1;
}

function bucketOf(ns: number): number {
  if (ns < LOWEST_NS) return 0;
  const scaled = ns * UNITS_PER_NS;
  if (scaled >= 2 ** 32) return BUCKETS - 1;
  const exponent = 31 - Math.clz32(scaled);
  return 1 + 2 * (exponent - LOWEST_EXPONENT) + ((scaled >>> (exponent - 1)) & 1);
}

/** Adds `from` to `to`. */
export function addHistogram(to: DurationHistogram, from: DurationHistogram): void {
  const [min, max] = [
    Math.min(to[MIN] as number, from[MIN] as number),
    Math.max(to[MAX] as number, from[MAX] as number),
  ];
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + (from[i] as number);
  to[MIN] = min;
  to[MAX] = max;
}

/** A copy without minimum and maximum, whose numbers can be subtracted and multiplied. */
export function plainCounts(histogram: DurationHistogram): DurationHistogram {
  const counts = histogram.slice();
  counts[MIN] = 0;
  counts[MAX] = 0;
  return counts;
}

/**
 * A histogram from estimated counts, which are rounded down.
 * @param counts as {@link plainCounts}
 * @param seen a histogram with the minimum and maximum
 */
export function histogramOf(counts: DurationHistogram, seen: DurationHistogram | undefined): DurationHistogram {
  const histogram = counts.map((count, index) => (index < FIRST_BUCKET ? count : Math.floor(count)));
  histogram[COUNT] = histogram.subarray(FIRST_BUCKET).reduce((sum, count) => sum + count, 0);
  histogram[MIN] = seen?.[MIN] ?? Number.POSITIVE_INFINITY;
  histogram[MAX] = seen?.[MAX] ?? 0;
  return histogram;
}

/** Upper edge of a bucket in nanoseconds, exclusive. */
function upperEdgeNs(bucket: number): number {
  if (bucket >= BUCKETS - 1) return Number.POSITIVE_INFINITY;
  const octave = LOWEST_NS * 2 ** Math.floor(bucket / 2);
  return bucket % 2 === 0 ? octave : octave * 1.5;
}

/** Edges between the counts of {@link DurationSummary.halfOctaves}, in seconds. */
export const HALF_OCTAVE_SECONDS: readonly number[] = Array.from(
  { length: BUCKETS - 1 },
  (_, bucket) => upperEdgeNs(bucket) * 1e-9,
);

export interface DurationSummary {
  readonly count: number;
  readonly sumSeconds: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  /** Number of durations below each of {@link BUCKET_SECONDS}, cumulative. The rest up to `count` took longer. */
  readonly buckets: readonly number[];
  /** Number of durations in each half of an octave, for quantiles of a period: see {@link quantileOf}. */
  readonly halfOctaves: readonly number[];
}

/** Upper edges of the exported buckets: 500 ns, then four times the one before, up to 2.1 s. */
export const BUCKET_SECONDS: readonly number[] = Array.from({ length: 12 }, (_, i) =>
  Number((LOWEST_NS * 4 ** i * 1e-9).toPrecision(12)),
);
const BUCKETS_PER_EXPORTED = 4;

export function summarize(histogram: DurationHistogram): DurationSummary {
  const [count, minNs, maxNs] = [histogram[COUNT] as number, histogram[MIN] as number, histogram[MAX] as number];
  const halfOctaves: number[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket++) halfOctaves.push(histogram[FIRST_BUCKET + bucket] as number);
  return {
    count,
    sumSeconds: (histogram[SUM] as number) * 1e-9,
    minSeconds: minNs * 1e-9,
    maxSeconds: maxNs * 1e-9,
    p50Seconds: quantileNs(halfOctaves, 0.5 * count, minNs, maxNs) * 1e-9,
    p99Seconds: quantileNs(halfOctaves, 0.99 * count, minNs, maxNs) * 1e-9,
    buckets: cumulative(halfOctaves),
    halfOctaves,
  };
}

function cumulative(halfOctaves: readonly number[]): number[] {
  const sums: number[] = [];
  let sum = 0;
  for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
    sum += halfOctaves[bucket] as number;
    if (bucket % BUCKETS_PER_EXPORTED === 0) sums.push(sum);
  }
  return sums;
}

/**
 * Estimates a quantile in seconds. The counts may be the difference of two histograms: the minimum and the maximum of
 * all time are limits for every part of it.
 */
export function quantileOf(
  counts: Pick<DurationSummary, 'count' | 'minSeconds' | 'maxSeconds' | 'halfOctaves'>,
  q: number,
): number {
  const { count, minSeconds, maxSeconds, halfOctaves } = counts;
  return quantileNs(halfOctaves, q * count, minSeconds * 1e9, maxSeconds * 1e9) * 1e-9;
}

/** Estimates a quantile by linear interpolation within its bucket, limited to the minimum and maximum. */
function quantileNs(halfOctaves: readonly number[], rank: number, minNs: number, maxNs: number): number {
  let below = 0;
  for (let bucket = 0; bucket < halfOctaves.length; bucket++) {
    const here = halfOctaves[bucket] as number;
    if (below + here >= rank && here > 0) {
      const low = Math.max(bucket === 0 ? 0 : upperEdgeNs(bucket - 1), minNs);
      const high = Math.min(upperEdgeNs(bucket), maxNs);
      return low + ((rank - below) / here) * (high - low);
    }
    below += here;
  }
  return maxNs;
}
