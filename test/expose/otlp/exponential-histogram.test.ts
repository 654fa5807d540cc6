/** Histograms with exponential buckets, decoded by the definitions in opentelemetry-proto. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { otlpSettings } from '../../../src/config/otlp-settings.js';
import { parseCommandLine } from '../../../src/config/parse-command-line.js';
import { snapshotOfDurations } from '../../support/agent/recorded-durations.js';
import { endAll } from '../../support/end-later.js';
import { HANG_MS } from '../../support/patience.js';
import { startExportByHand } from '../../support/prometheus/export-by-hand.js';
import type { OtlpPoint } from '../../support/prometheus/otlp-decoder.js';
import { metricOf, startReceiver } from '../../support/prometheus/otlp-receiver.js';

afterEach(endAll);

const DURATIONS = [...Array(10).fill(3e-7), ...Array(50).fill(1.3e-6), ...Array(30).fill(2.9e-5), 0.0071, 0.9, 17];
const CUMULATIVE = { sums: false, histograms: false };
const DELTA = { sums: true, histograms: true };

async function sent(snapshots: readonly (readonly number[])[], delta = CUMULATIVE): Promise<OtlpPoint[]> {
  const receiver = await startReceiver();
  let index = 0;
  const url = `http://127.0.0.1:${receiver.port}/v1/metrics`;
  const otlp = startExportByHand(() => snapshotOfDurations(snapshots[Math.min(index++, snapshots.length - 1)] ?? []), {
    url,
    timeoutMs: HANG_MS,
    delta,
    exponential: true,
  });
  // The last one is exported at the end.
  while (index < snapshots.length - 1) await otlp.next();
  await otlp.stop();
  return receiver.requests.flatMap((request) => metricOf(request, 'kvm.exit.duration')?.points ?? []);
}

/** Counts by the bounds of their bucket: (2 ** (i / 2 ** scale), 2 ** ((i + 1) / 2 ** scale)]. */
function bucketsOf({ exponential }: OtlpPoint): { low: number; high: number; count: number }[] {
  assert.ok(exponential !== undefined);
  const { scale, offset, counts } = exponential;
  const bound = (index: number) => 2 ** (index / 2 ** scale);
  return counts
    .map((count, index) => ({ low: bound(offset + index), high: bound(offset + index + 1), count }))
    .filter(({ count }) => count > 0);
}

test('each duration is in a bucket that is at most a third away', async () => {
  const [point] = await sent([DURATIONS]);
  assert.ok(point !== undefined);
  assert.equal(point.count, DURATIONS.length);
  assert.ok(Math.abs(point.sum - DURATIONS.reduce((sum, each) => sum + each, 0)) < 1e-6);
  const buckets = bucketsOf(point);
  assert.deepEqual(
    buckets.map(({ count }) => count),
    [10, 50, 30, 1, 1, 1],
  );
  // Less than 500 ns and more than 4.2 s have no edges: they count as 0.35 us and 5.9 s.
  for (const [bucket, duration] of [1.3e-6, 2.9e-5, 0.0071, 0.9].entries()) {
    const { low, high } = buckets[bucket + 1] ?? { low: 0, high: 0 };
    assert.ok(low * 1.34 >= duration && high / 1.34 <= duration, `${low} ${duration} ${high}`);
  }
});

test('differences add up to the totals', async () => {
  const points = await sent([[0.001, 0.002], [0.001, 0.002, 0.002], DURATIONS], DELTA);
  const [first, second] = points;
  assert.deepEqual([first?.count, second?.count], [2, 1]);
  assert.deepEqual(
    bucketsOf(second as OtlpPoint).map(({ count }) => count),
    [1],
  );
});

test("OpenTelemetry's variable chooses them, and a wrong value is an error", () => {
  const settings = (value: string) => {
    const { get } = parseCommandLine(['run', '--otlp.endpoint=http://localhost:4318'], {});
    return otlpSettings(get, { OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: value });
  };
  assert.equal(settings('base2_exponential_bucket_histogram')?.exponential, true);
  assert.equal(settings('explicit_bucket_histogram')?.exponential, false);
  assert.equal(settings('')?.exponential, false);
  assert.throws(() => settings('exponential'), /DEFAULT_HISTOGRAM_AGGREGATION=exponential: expected/);
});
