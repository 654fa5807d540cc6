import type { RecordedCheck } from '../../audit/audit-recording.js';
import type { StatisticGrowth } from '../../count/statistics/statistic-growth.js';
import type { Snapshot } from '../../snapshot/snapshot.js';

/** The time that a recording covers. */
export interface RecordedTime {
  /** Undefined if the recording has no times. */
  readonly seconds: number | undefined;
  /** The first and the last event, or the edges of the window that was asked for, in seconds on the trace clock. */
  readonly startSeconds: number | undefined;
  readonly endSeconds: number | undefined;
}

/** What was counted in a recording, whether it is one file or several, or on a host for some time. */
export interface Recorded {
  /** True if it was counted on this host just now: there is no recording. */
  readonly isLive?: true;
  readonly snapshot: Snapshot;
  readonly time: RecordedTime;
  /** What KVM itself counted in that time; undefined for a recording. */
  readonly statistics?: readonly StatisticGrowth[];
  /** Ids of rules of the advice that are not wanted. */
  readonly disabledAdvice: readonly string[];
  /** Checks against the statistics of KVM that the recording holds; empty if it holds none. */
  readonly audit: readonly RecordedCheck[];
  /** Number of exits to QEMU that may be failed calls of KVM_RUN: the recording does not distinguish them. */
  readonly undecidedExits: number;
  /** Rows of QEMU's traces whose exits the kernel's trace may have, too, under the names of other rows. */
  readonly repeatedRows?: readonly string[];
}

/** A figure by recorded time; undefined if either is not known, or if all events have the same time. */
export function perSecond(figure: number | undefined, { seconds }: RecordedTime): number | undefined {
  return figure === undefined || seconds === undefined || seconds <= 0 ? undefined : figure / seconds;
}
