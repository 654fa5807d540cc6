/**
 * How long something took, many times: count, sum, extremes and a histogram, in one typed array and without a logarithm.
 *
 * Buckets are halves of octaves from 500 ns on: [500, 750), [750, 1000), [1000, 1500) ns ... up to 4.2 s. A time in units of 500/512 ns
 * has its octave in the position of its highest bit and the half in the bit below.
 */

export type DurationHistogram = Float64Array;

const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;
const FIRST_BUCKET = 4;

const LOWEST_NS = 500;
const PER_NS = 512 / LOWEST_NS;
const LOWEST_EXPONENT = 9;
const OCTAVES = 23;
/** One for all below 500 ns, two per octave, one for all above. */
const BUCKETS = 1 + 2 * OCTAVES + 1;

export function newHistogram(): DurationHistogram {
  const durations = new Float64Array(FIRST_BUCKET + BUCKETS);
  durations[MIN] = Number.POSITIVE_INFINITY;
  return durations;
}

/** @param ns not negative */
export function recordDuration(durations: DurationHistogram, ns: number): void {
  durations[COUNT] = (durations[COUNT] as number) + 1;
  durations[SUM] = (durations[SUM] as number) + ns;
  if (ns < (durations[MIN] as number)) durations[MIN] = ns;
  if (ns > (durations[MAX] as number)) durations[MAX] = ns;
  const bucket = FIRST_BUCKET + bucketOf(ns);
  durations[bucket] = (durations[bucket] as number) + 1;
}

function bucketOf(ns: number): number {
  if (ns < LOWEST_NS) return 0;
  const scaled = ns * PER_NS;
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

/** Upper edge of a bucket in nanoseconds; its own times are below. */
function edgeNs(bucket: number): number {
  if (bucket >= BUCKETS - 1) return Number.POSITIVE_INFINITY;
  const octave = LOWEST_NS * 2 ** Math.floor(bucket / 2);
  return bucket % 2 === 0 ? octave : octave * 1.5;
}

export interface DurationSummary {
  readonly count: number;
  readonly sumSeconds: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  /** Cumulative: times up to {@link BUCKET_SECONDS}, of each. The rest up to `count` took longer. */
  readonly buckets: readonly number[];
}

/** Upper edges of what is exported: 500 ns, then four times as much each, to 2.1 s. */
export const BUCKET_SECONDS: readonly number[] = Array.from({ length: 12 }, (_, i) =>
  Number((LOWEST_NS * 4 ** i * 1e-9).toPrecision(12)),
);
const BUCKETS_PER_EXPORTED = 4;

export function summarize(durations: DurationHistogram): DurationSummary {
  return {
    count: durations[COUNT] as number,
    sumSeconds: (durations[SUM] as number) * 1e-9,
    minSeconds: (durations[MIN] as number) * 1e-9,
    maxSeconds: (durations[MAX] as number) * 1e-9,
    p50Seconds: quantile(durations, 0.5) * 1e-9,
    p99Seconds: quantile(durations, 0.99) * 1e-9,
    buckets: cumulative(durations),
  };
}

function cumulative(durations: DurationHistogram): number[] {
  const sums: number[] = [];
  let sum = 0;
  for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
    sum += durations[FIRST_BUCKET + bucket] as number;
    if (bucket % BUCKETS_PER_EXPORTED === 0) sums.push(sum);
  }
  return sums;
}

/** Between the edges of its bucket as if times were spread evenly there, and never outside of what was seen. */
function quantile(durations: DurationHistogram, q: number): number {
  const rank = q * (durations[COUNT] as number);
  let below = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const here = durations[FIRST_BUCKET + bucket] as number;
    if (below + here >= rank && here > 0) {
      const low = Math.max(bucket === 0 ? 0 : edgeNs(bucket - 1), durations[MIN] as number);
      const high = Math.min(edgeNs(bucket), durations[MAX] as number);
      return low + ((rank - below) / here) * (high - low);
    }
    below += here;
  }
  return durations[MAX] as number;
}
