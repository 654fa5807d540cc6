import { quantileOf } from '../count/counters/duration-histogram.js';
import { IDLE_REASONS } from '../count/vcpu/known-reasons.js';
import type { ExitDuration } from '../snapshot/tables/durations.js';
import { isFailedCall, type Layer } from '../snapshot/tables/layer.js';
import { reasonKey, type VmCounts } from './observation.js';
import { type Period, rise } from './period.js';

/** The exits of a VM for one reason, of all its vCPUs, in a period. */
export interface ReasonRate {
  readonly layer: Layer;
  readonly reason: string;
  /** In the period. */
  readonly exits: number;
  readonly exits_per_second: number | null;
  /**
   * With --sampling, how far their number since the start may be from the true one, in 95 % of the cases, as a part of
   * it; null if it is exact, or the error is not known.
   */
  readonly sampling_error: number | null;
  /** Time in them: 1 is one whole vCPU; null if none was timed in this layer. */
  readonly seconds_per_second: number | null;
  /** Durations of those timed in the period; null if there are none. */
  readonly mean_seconds: number | null;
  readonly p50_seconds: number | null;
  readonly p99_seconds: number | null;
}

export type TopReason = Pick<ReasonRate, 'layer' | 'reason' | 'exits_per_second' | 'seconds_per_second'>;

/** Reasons that had exits in the period, the most important ones first: see {@link compare}. */
export function reasonRates(newer: VmCounts, older: VmCounts | undefined, period: Period): ReasonRate[] {
  return ranked(newer, older, period).map(({ timed, ...rate }) => ({ ...rate, ...(timed?.() ?? NOT_TIMED) }));
}

/** The reason that costs most; null if there were no exits, or no rate is known yet. */
export function topReason(newer: VmCounts, older: VmCounts | undefined, period: Period): TopReason | null {
  const [first] = ranked(newer, older, period);
  if (first === undefined || period.seconds === null) return null;
  const { layer, reason, exits_per_second, seconds_per_second } = first;
  return { layer, reason, exits_per_second, seconds_per_second };
}

interface Ranked extends TopReason, Pick<ReasonRate, 'exits' | 'sampling_error'> {
  /** Makes what a table of VMs does not show; undefined if no duration is known. */
  readonly timed: (() => Durations) | undefined;
}

function ranked(newer: VmCounts, older: VmCounts | undefined, period: Period): Ranked[] {
  const rates: Ranked[] = [];
  for (const layer of ['qemu', 'kvm'] as const)
    for (const [reason, count] of newer.exits[layer]) {
      const exits = rise(count, older?.exits[layer].get(reason));
      if (exits === 0) continue;
      const key = reasonKey(layer, reason);
      const timed = timedBetween(newer.durations.get(key), older?.durations.get(key), period);
      const sampling_error = layer === 'kvm' ? (newer.samplingErrors.get(reason) ?? null) : null;
      rates.push({ layer, reason, exits, exits_per_second: period.perSecond(exits), sampling_error, ...timed });
    }
  return rates.sort(compare);
}

const IDLE: ReadonlySet<string> = new Set(IDLE_REASONS);

/** Idle guests and failed calls come last. Then the time in them decides, where it is known; else layer and rate. */
function compare(a: Ranked, b: Ranked): number {
  const isMinor = ({ reason }: Ranked) => Number(IDLE.has(reason) || isFailedCall(reason));
  return (
    isMinor(a) - isMinor(b) ||
    (b.seconds_per_second ?? -1) - (a.seconds_per_second ?? -1) ||
    Number(b.layer === 'qemu') - Number(a.layer === 'qemu') ||
    b.exits - a.exits
  );
}

type Durations = Pick<ReasonRate, 'mean_seconds' | 'p50_seconds' | 'p99_seconds'>;

const NOT_TIMED: Durations = { mean_seconds: null, p50_seconds: null, p99_seconds: null };

function timedBetween(
  newer: ExitDuration | undefined,
  older: ExitDuration | undefined,
  period: Period,
): Pick<Ranked, 'seconds_per_second' | 'timed'> {
  const count = rise(newer?.count ?? 0, older?.count);
  if (newer === undefined || count === 0 || period.seconds === null)
    return { seconds_per_second: null, timed: undefined };
  const seconds = rise(newer.sumSeconds, older?.sumSeconds);
  return {
    seconds_per_second: period.perSecond(seconds),
    timed: () => durationsOf(newer, older, count, seconds),
  };
}

function durationsOf(newer: ExitDuration, older: ExitDuration | undefined, count: number, seconds: number): Durations {
  const { minSeconds, maxSeconds } = newer;
  const halfOctaves = newer.halfOctaves.map((value, index) => rise(value, older?.halfOctaves[index]));
  const timed = { count, minSeconds, maxSeconds, halfOctaves };
  return {
    mean_seconds: seconds / count,
    p50_seconds: quantileOf(timed, 0.5),
    p99_seconds: quantileOf(timed, 0.99),
  };
}
