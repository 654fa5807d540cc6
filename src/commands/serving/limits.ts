import { parseCount } from '../../config/option-types.js';
import type { Flag } from '../../config/options.js';
import type { Invocation } from '../../config/parse-command-line.js';
import { SeriesLimiter } from '../../snapshot/series-limiter.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { AgentError } from '../../system/errors.js';

/** Snapshots as they may be shown, by the limits that the flags set. All views must share one: who has a series has it in all of them. */
export function limited(get: Invocation['get'], takeSnapshot: () => Snapshot): () => Snapshot {
  const limiter = new SeriesLimiter({
    series: atLeast(100, 'limit.series', get),
    seriesPerVm: atLeast(100, 'limit.series-per-vm', get),
    labelLength: atLeast(32, 'limit.label-length', get),
  });
  return () => limiter.apply(takeSnapshot());
}

/** Below that, there would be hardly more than the sums. */
function atLeast(least: number, flag: Flag, get: Invocation['get']): number {
  const value = parseCount(flag, get(flag) ?? '');
  if (value < least) throw new AgentError(`--${flag}=${value}: expected at least ${least}`);
  return value;
}
