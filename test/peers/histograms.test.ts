/**
 * Histograms inside a real Prometheus 3: scraped as classic ones, scraped and converted to native ones with custom
 * buckets, over OTLP with the same bounds, and over OTLP with exponential buckets. `histogram_quantile` is held against
 * the durations themselves.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startOtlpExport } from '../../src/expose/otlp/otlp-export.js';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS } from '../../src/expose/text-format.js';
import { snapshotOfDurations } from '../support/agent/recorded-durations.js';
import { endAll, endLater } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { ask, type Sample } from '../support/peers/answers.js';
import { needsPeers } from '../support/peers/binaries.js';
import { startPeer } from '../support/peers/peer-process.js';

const PEERS = needsPeers();
const DEADLINE_MS = 180_000;
const QUANTILES = [0.1, 0.5, 0.9, 0.95, 0.99, 0.999];
/** Edges as Prometheus' OTLP receiver writes them: 500 ns, and four times as much each. */
const EDGES = [
  ...Array.from({ length: 12 }, (_, index) => String((5e-7 * 4 ** index).toFixed(7)).replace(/0+$/, '')),
  '+Inf',
];
/** Prometheus 3 writes scraped edges with an exponent if they are small, whatever the agent writes. */
const SCRAPED = new Map([
  ['0.0000005', '5e-07'],
  ['0.000002', '2e-06'],
  ['0.000008', '8e-06'],
  ['0.000032', '3.2e-05'],
]);
const folder = mkdtempSync(join(tmpdir(), 'histograms-'));
let api: string;

/** 3,000 durations between 1 us and 1 s, whose logarithms are spread evenly; the same in every run. */
const DURATIONS = Array.from({ length: 3000 }, (_, index) => 10 ** (-6 + 6 * ((index * 0.6180339887) % 1))).sort(
  (a, b) => a - b,
);

/** The duration that this share of all durations does not exceed. */
function exact(quantile: number): number {
  return DURATIONS[Math.ceil(quantile * DURATIONS.length) - 1] as number;
}

function exportTo(url: string, instance: string, exponential: boolean): void {
  const before = process.env.OTEL_RESOURCE_ATTRIBUTES;
  process.env.OTEL_RESOURCE_ATTRIBUTES = `service.instance.id=${instance}`;
  const otlp = startOtlpExport(
    { take: () => snapshotOfDurations(DURATIONS) },
    { version: '1', port: '', containerId: '', kubernetes: {} },
    {
      ...{ url, intervalMs: 1000, timeoutMs: 20_000, exponential },
      delta: { sums: false, histograms: false },
    },
  );
  process.env.OTEL_RESOURCE_ATTRIBUTES = before ?? '';
  endLater(async () => {
    await otlp.stop();
  });
}

before(async () => {
  if (PEERS.skip !== false) return;
  const view = new PrometheusView({ takeSnapshot: () => snapshotOfDurations(DURATIONS), version: '1' });
  const server = createServer((_, response) => {
    void view.render(OPENMETRICS).then((text) => response.setHeader('content-type', OPENMETRICS.contentType).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const target = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const job = (name: string, converts: boolean) => ({
    job_name: name,
    convert_classic_histograms_to_nhcb: converts,
    static_configs: [{ targets: [target], labels: { instance: name } }],
  });
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [job('classic', false), job('nhcb', true)] }),
  );
  const port = await freePort();
  api = `http://127.0.0.1:${port}`;
  await startPeer(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-otlp-receiver',
    ],
    `${api}/-/ready`,
  );
  exportTo(`${api}/api/v1/otlp/v1/metrics`, 'otlp', false);
  exportTo(`${api}/api/v1/otlp/v1/metrics`, 'exponential', true);
});

after(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

/** Asks until there is a result. */
async function answerOf(query: string): Promise<readonly Sample[]> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = await ask(api, query);
    if (found.length > 0) return found;
    assert.ok(Date.now() < deadline, `${query} has no result`);
    await sleep(300);
  }
}

async function quantileOf(quantile: number, selector: string): Promise<number> {
  const [sample] = await answerOf(`histogram_quantile(${quantile}, ${selector})`);
  return sample?.value ?? Number.NaN;
}

const CLASSIC = 'kvm_exit_duration_seconds_bucket';
const NATIVE = 'kvm_exit_duration_seconds';

test('classic buckets: quantiles are within one bucket of the durations', PEERS, async () => {
  for (const quantile of QUANTILES)
    for (const instance of ['classic', 'otlp']) {
      const got = await quantileOf(quantile, `${CLASSIC}{instance="${instance}"}`);
      // The edges of a bucket are a factor of four apart.
      assert.ok(got >= exact(quantile) / 4 && got <= exact(quantile) * 4, `${instance} ${quantile}: ${got}`);
    }
});

test('converted to native ones, and over OTLP, quantiles are those of the classic ones', PEERS, async () => {
  for (const quantile of QUANTILES) {
    const classic = await quantileOf(quantile, `${CLASSIC}{instance="classic"}`);
    const converted = [
      await quantileOf(quantile, `${NATIVE}{instance="nhcb"}`),
      await quantileOf(quantile, `${CLASSIC}{instance="otlp"}`),
    ];
    for (const got of converted) assert.ok(Math.abs(got / classic - 1) < 1e-9, `${quantile}: ${got}, not ${classic}`);
  }
  assert.deepEqual(await ask(api, `${CLASSIC}{instance="nhcb"}`), []);
});

test('exponential buckets: quantiles are at most a third below and 42 % above the durations', PEERS, async () => {
  for (const quantile of QUANTILES) {
    const got = await quantileOf(quantile, `${NATIVE}{instance="exponential"}`);
    const ratio = got / exact(quantile);
    assert.ok(ratio >= 0.666 && ratio <= 1.42, `${quantile}: ${got}, exactly ${exact(quantile)}`);
  }
});

test('counts and sums are exact in each form', PEERS, async () => {
  const sum = DURATIONS.reduce((total, each) => total + each, 0);
  for (const [instance, count, total] of [
    ['classic', `${NATIVE}_count`, `${NATIVE}_sum`],
    ['otlp', `${NATIVE}_count`, `${NATIVE}_sum`],
    ['nhcb', `histogram_count(${NATIVE}`, `histogram_sum(${NATIVE}`],
    ['exponential', `histogram_count(${NATIVE}`, `histogram_sum(${NATIVE}`],
  ] as const) {
    const close = count.includes('(') ? ')' : '';
    const [counted] = await answerOf(`${count}{instance="${instance}"}${close}`);
    const [summed] = await answerOf(`${total}{instance="${instance}"}${close}`);
    assert.equal(counted?.value, DURATIONS.length, instance);
    assert.ok(Math.abs((summed?.value ?? 0) / sum - 1) < 1e-6, `${instance}: ${summed?.value}, not ${sum}`);
  }
});

test(
  'edges below 0.0001 have another spelling over OTLP than scraped, and PromQL takes them for the same',
  PEERS,
  async () => {
    const edgesOf = async (instance: string) => {
      const samples = await answerOf(`${CLASSIC}{instance="${instance}"}`);
      return samples.map(({ labels }) => labels.le).sort();
    };
    assert.deepEqual(await edgesOf('otlp'), EDGES.toSorted());
    assert.deepEqual(await edgesOf('classic'), EDGES.map((edge) => SCRAPED.get(edge) ?? edge).sort());
    for (const quantile of QUANTILES) {
      const classic = await quantileOf(quantile, `${CLASSIC}{instance="classic"}`);
      const both = await quantileOf(quantile, `sum by (le) (${CLASSIC}{instance=~"classic|otlp"})`);
      assert.ok(Math.abs(both / classic - 1) < 1e-9, `${quantile}: ${both}, not ${classic}`);
    }
  },
);

test('a histogram is 15 classic series, or one native one', PEERS, async () => {
  for (const [instance, count] of Object.entries({ classic: 15, otlp: 15, nhcb: 1, exponential: 1 })) {
    const [sample] = await answerOf(`count({__name__=~"${NATIVE}.*",instance="${instance}"})`);
    assert.equal(sample?.value, count, instance);
  }
});
