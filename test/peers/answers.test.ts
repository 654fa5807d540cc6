/**
 * The dashboards on figures that came scraped, over OTLP, through a collector, and in VictoriaMetrics: each query of a
 * panel answers on every way, and docs/peers.md has the table.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alerts } from '../../grafana/rules/alerts.js';
import { recordingRules } from '../../grafana/rules/recording-rules.js';
import { THRESHOLDS } from '../../grafana/thresholds.js';
import { NOT_IN_DEMO } from '../deploy/prometheus/not-in-demo.js';
import { endAll } from '../support/end-later.js';
import { answers, ask, QUERIES, WAYS } from '../support/peers/answers.js';
import { needsPeers } from '../support/peers/binaries.js';
import { startWays, type Ways } from '../support/peers/ways.js';

const PEERS = needsPeers();
const DEADLINE_MS = 180_000;
const folder = mkdtempSync(join(tmpdir(), 'peers-'));
let ways: Ways;

before(async () => {
  if (PEERS.skip === false) ways = await startWays(folder);
});

after(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

const IN_DEMO = QUERIES.filter(({ expr }) => !NOT_IN_DEMO.some((fed) => fed.expr === expr));

for (const way of WAYS) {
  test(`every query of the dashboards has a result: ${way}`, PEERS, async () => {
    let missing = [...IN_DEMO];
    const deadline = Date.now() + DEADLINE_MS;
    while (missing.length > 0) {
      const found = await Promise.all(missing.map(({ expr }) => answers(ways, way, expr)));
      missing = missing.filter((_, index) => found[index] !== true);
      if (Date.now() > deadline)
        assert.fail(
          missing.map(({ dashboard, panel, refId, expr }) => `${dashboard}: ${panel} ${refId}: ${expr}`).join('\n'),
        );
      if (missing.length > 0) await sleep(500);
    }
  });

  test(`the variables job and instance have values: ${way}`, PEERS, async () => {
    const found = await ask(ways.api[way], `kvm_exit_exporter_build_info{instance="${ways.instance[way]}"}`);
    assert.deepEqual(
      found.map(({ labels: { job, instance } }) => [job, instance]),
      [['kvm-exit-exporter', ways.instance[way]]],
    );
  });
}

interface Rules {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly {
      readonly name: string;
      readonly query: string;
      readonly type: string;
      readonly health: string;
      readonly alerts?: readonly { readonly state: string }[];
    }[];
  }[];
}

test('every rule is healthy in Prometheus 3, and no alert says that an agent is missing', PEERS, async () => {
  for (const way of ['otlp', 'utf8'] as const) {
    const response = await fetch(`${ways.api[way]}/api/v1/rules`);
    const { data } = (await response.json()) as { data: Rules };
    const rules = data.groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 50, `${rules.length} rules`);
    assert.deepEqual(
      rules.filter(({ health }) => health !== 'ok').map((rule) => JSON.stringify(rule)),
      [],
    );
    const missing = rules.filter(({ name }) => /^KvmExitExporter(Absent|Down)$/.test(name));
    // On a busy machine a scrape may be late, which makes an alert pending.
    assert.deepEqual(
      missing.map(({ alerts = [] }) => alerts.filter(({ state }) => state === 'firing')),
      [[], []],
      way,
    );
  }
});

test('histograms that Prometheus converts, or that come with exponential buckets, are native ones', PEERS, async () => {
  for (const way of ['nhcb', 'exponential'] as const) {
    const selector = `kvm_exit_duration_seconds{instance="${ways.instance[way]}",vm="web-1"}`;
    const native = await ask(ways.api[way], `histogram_count(${selector})`);
    assert.ok(native.length > 0, `${way} has no native histogram`);
    const [plain] = await ask(ways.api.scrape, 'count(kvm_exit_duration_seconds{instance="otlp"})');
    assert.equal(plain, undefined, 'the other histograms are classic ones');
  }
});

test('VictoriaMetrics accepts every rule', PEERS, async () => {
  const groups = [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)];
  for (const { expr } of groups.flatMap(({ rules }) => rules)) await ask(ways.api['victoria-otlp'], expr);
});
