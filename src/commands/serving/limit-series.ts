import type { GetOption } from '../../config/options.js';
import { SeriesLimiter } from '../../snapshot/series-limiter.js';
import type { Snapshot } from '../../snapshot/snapshot.js';

/** Snapshots within the limits that the options set. All views must share one, so that each shows the same series. */
export function limitSeries(get: GetOption, takeSnapshot: () => Snapshot): () => Snapshot {
  const limiter = new SeriesLimiter({
    series: get('limit.series'),
    seriesPerVm: get('limit.series-per-vm'),
    labelLength: get('limit.label-length'),
  });
  return () => limiter.apply(takeSnapshot());
}
