import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT } from '../../../src/expose/text-format.js';
import { type Exposition, Scrapes } from '../../../src/web/metrics/scrapes.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { Samples } from '../../support/prometheus/samples.js';

/** Counts snapshots, and shows their number as a metric. */
function setUp(): { scrapes: Scrapes; taken: () => number } {
  let taken = 0;
  const takeSnapshot = () => ({ ...emptySnapshot(), unattributedEvents: ++taken });
  return { scrapes: new Scrapes(new PrometheusView({ takeSnapshot, version: '1' })), taken: () => taken };
}

const text = ({ plain }: Exposition) => Buffer.concat(plain).toString();
const shown = (exposition: Exposition) =>
  new Samples(text(exposition)).sum('kvm_exit_exporter_unattributed_events_total');

test('fifty scrapes at once are one exposition', async () => {
  const { scrapes, taken } = setUp();
  const all = await Promise.all(Array.from({ length: 50 }, () => scrapes.take(PROMETHEUS_TEXT)));
  assert.deepEqual([new Set(all).size, taken()], [1, 1]);
});

test('who asks while one is being written gets the next: nobody sees figures from before they asked', async () => {
  const { scrapes, taken } = setUp();
  const first = scrapes.take(PROMETHEUS_TEXT);
  while (taken() === 0) await new Promise(setImmediate);
  const second = scrapes.take(PROMETHEUS_TEXT);
  assert.deepEqual([shown(await first), shown(await second)], [1, 2]);
});

test('the formats do not mix', async () => {
  const { scrapes } = setUp();
  const [plain, open] = await Promise.all([scrapes.take(PROMETHEUS_TEXT), scrapes.take(OPENMETRICS)]);
  assert.deepEqual([text(plain).endsWith('# EOF\n'), text(open).endsWith('# EOF\n')], [false, true]);
});

test('a scrape that fails does not harm the next', async () => {
  let fail = true;
  const takeSnapshot = () => {
    if (fail) throw new Error('no');
    return emptySnapshot();
  };
  const scrapes = new Scrapes(new PrometheusView({ takeSnapshot, version: '1' }));
  await assert.rejects(scrapes.take(PROMETHEUS_TEXT), /no/);
  fail = false;
  assert.match(text(await scrapes.take(PROMETHEUS_TEXT)), /build_info/);
});

test('what is packed is what is plain', async () => {
  const { scrapes } = setUp();
  const exposition = await scrapes.take(PROMETHEUS_TEXT);
  assert.equal(gunzipSync(Buffer.concat(await exposition.gzipped())).toString(), text(exposition));
});
