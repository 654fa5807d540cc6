import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BUCKET_SECONDS,
  newHistogram,
  recordDuration,
  summarize,
} from '../../../src/count/counters/duration-histogram.js';

test('buckets, extremes and quantiles are those of the sorted durations', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 5e9, noNaN: true }), { minLength: 1, maxLength: 300 }),
      (durations) => {
        const histogram = newHistogram();
        for (const ns of durations) recordDuration(histogram, ns);
        const got = summarize(histogram);
        const sorted = [...durations].sort((a, b) => a - b);
        assert.equal(got.count, durations.length);
        assert.equal(got.minSeconds, (sorted[0] ?? 0) * 1e-9);
        assert.equal(got.maxSeconds, (sorted.at(-1) ?? 0) * 1e-9);
        BUCKET_SECONDS.forEach((edge, index) => {
          assert.equal(got.buckets[index], sorted.filter((ns) => ns < Math.round(edge * 1e9)).length, `below ${edge}`);
        });
        const median = sorted[Math.ceil(durations.length / 2) - 1] ?? 0;
        // Within half an octave of the true median, the width of its bucket.
        assert.ok(
          got.p50Seconds * 1e9 <= Math.max(median * 1.5, 500) + 1e-3 && got.p50Seconds * 1e9 >= median / 1.51 - 500,
        );
      },
    ),
  );
});
