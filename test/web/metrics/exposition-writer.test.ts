import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT } from '../../../src/expose/text-format.js';
import type { Exposition } from '../../../src/web/metrics/exposition.js';
import { ExpositionWriter } from '../../../src/web/metrics/exposition-writer.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { Samples } from '../../support/prometheus/samples.js';

/** A writer whose snapshots have their number as a metric; `taken` returns how many there were. */
function setUp(): { writer: ExpositionWriter; taken: () => number } {
  let taken = 0;
  const takeSnapshot = () => ({ ...emptySnapshot(), unattributedEvents: ++taken });
  return { writer: new ExpositionWriter(new PrometheusView({ takeSnapshot, version: '1' })), taken: () => taken };
}

const text = ({ plain }: Exposition) => Buffer.concat(plain).toString();
const snapshotNumber = (exposition: Exposition) =>
  new Samples(text(exposition)).sum('kvm_exit_exporter_unattributed_events_total');

test('fifty concurrent scrapes share one exposition', async () => {
  const { writer, taken } = setUp();
  const all = await Promise.all(Array.from({ length: 50 }, () => writer.request(PROMETHEUS_TEXT)));
  assert.deepEqual([new Set(all).size, taken()], [1, 1]);
});

test('a request during the writing of an exposition gets the next one, so its figures are not older than the request', async () => {
  const { writer, taken } = setUp();
  const first = writer.request(PROMETHEUS_TEXT);
  while (taken() === 0) await new Promise(setImmediate);
  const second = writer.request(PROMETHEUS_TEXT);
  assert.deepEqual([snapshotNumber(await first), snapshotNumber(await second)], [1, 2]);
});

test('concurrent scrapes of both formats get different expositions', async () => {
  const { writer } = setUp();
  const [plain, open] = await Promise.all([writer.request(PROMETHEUS_TEXT), writer.request(OPENMETRICS)]);
  assert.deepEqual([text(plain).endsWith('# EOF\n'), text(open).endsWith('# EOF\n')], [false, true]);
});

test('an exposition is written after one that failed', async () => {
  let fail = true;
  const takeSnapshot = () => {
    if (fail) throw new Error('no');
    return emptySnapshot();
  };
  const writer = new ExpositionWriter(new PrometheusView({ takeSnapshot, version: '1' }));
  await assert.rejects(writer.request(PROMETHEUS_TEXT), /no/);
  fail = false;
  assert.match(text(await writer.request(PROMETHEUS_TEXT)), /build_info/);
});

test('the compressed exposition equals the plain one', async () => {
  const { writer } = setUp();
  const exposition = await writer.request(PROMETHEUS_TEXT);
  assert.equal(gunzipSync(Buffer.concat(await exposition.gzipped())).toString(), text(exposition));
});
