import { newHistogram, recordDuration, summarize } from '../../../src/count/counters/duration-histogram.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { emptySnapshot } from './empty-snapshot.js';

/** A snapshot in which exits of VM `a` took these times, in seconds. */
export function snapshotOfDurations(seconds: readonly number[]): Snapshot {
  const histogram = newHistogram();
  for (const each of seconds) recordDuration(histogram, each * 1e9);
  return { ...emptySnapshot(), durations: [{ vm: 'a', layer: 'kvm', reason: 'io', ...summarize(histogram) }] };
}
