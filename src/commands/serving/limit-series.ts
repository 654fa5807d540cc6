import { createHash } from 'node:crypto';
import type { GetOption } from '../../config/options.js';
import { SeriesLimiter } from '../../snapshot/series-limiter.js';
import type { TakeSnapshot } from '../../snapshot/snapshot.js';

/** Snapshots within the limits that the options set. All views must share one, so that each shows the same series. */
export function limitSeries(get: GetOption, takeSnapshot: TakeSnapshot): TakeSnapshot {
  const limiter = new SeriesLimiter(
    {
      series: get('limit.series'),
      seriesPerVm: get('limit.series-per-vm'),
      labelLength: get('limit.label-length'),
    },
    sha256Tag,
  );
  return (isExported) => limiter.apply(takeSnapshot(isExported));
}

/** 128 bits of SHA-256, in 22 characters. */
export function sha256Tag(value: string): string {
  return createHash('sha256').update(value, 'utf16le').digest('base64url').slice(0, 22);
}
