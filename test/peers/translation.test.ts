/**
 * Receivers that do not translate names: docs/peers.md says that the agent then sends Prometheus' names itself. Each
 * name that the dashboards and rules use, and that the agent serves, has to arrive.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alerts } from '../../grafana/rules/alerts.js';
import { recordingRules } from '../../grafana/rules/recording-rules.js';
import { THRESHOLDS } from '../../grafana/thresholds.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { QUERIES } from '../support/peers/answers.js';
import { needsPeers } from '../support/peers/binaries.js';
import { startPeer } from '../support/peers/peer-process.js';

const PEERS = needsPeers();
const DEADLINE_MS = 180_000;
const folder = mkdtempSync(join(tmpdir(), 'translation-'));
afterEach(endAll);
after(() => rmSync(folder, { recursive: true, force: true }));

const RULES = [...recordingRules(THRESHOLDS), ...alerts(THRESHOLDS)].flatMap(({ rules }) => rules);
const USED = new Set(
  [...QUERIES, ...RULES].flatMap(({ expr }) => Array.from(expr.matchAll(/\b(?:kvm|qemu)_\w+/g), ([name]) => name)),
);

/** It is about scrapes. */
USED.delete('kvm_exit_exporter_scrape_seconds');

const usedNames = (names: Iterable<string>) => new Set([...names].filter((name) => USED.has(name)));
const namesIn = (text: string) => usedNames(Array.from(text.matchAll(/^(\w+)[{ ]/gm), ([, name = '']) => name));

/** Waits until every name that the agent serves has arrived. */
async function checkNames(endpoint: string, arrived: () => Promise<Set<string>>): Promise<void> {
  const agent = await WebAgent.startCommand('demo', [
    `--otlp.endpoint=${endpoint}`,
    '--otlp.interval=1s',
    '--otlp.metric-names=prometheus',
  ]);
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const served = namesIn(await (await fetch(`${agent.url}/metrics`)).text());
    const found = await arrived();
    const missing = [...served].filter((name) => !found.has(name));
    if (served.size > 20 && missing.length === 0) return;
    assert.ok(Date.now() < deadline, `missing of ${served.size} names: ${missing.join(', ')}`);
    await sleep(500);
  }
}

for (const strategy of ['UnderscoreEscapingWithoutSuffixes', 'NoUTF8EscapingWithSuffixes', 'NoTranslation'])
  test(`translation_strategy: ${strategy}, with --otlp.metric-names=prometheus`, PEERS, async () => {
    const config = join(folder, `${strategy}.yml`);
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ otlp: { translation_strategy: strategy } }));
    const port = await freePort();
    const api = `http://127.0.0.1:${port}`;
    await startPeer(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, strategy)}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-otlp-receiver',
      ],
      `${api}/-/ready`,
    );
    await checkNames(`${api}/api/v1/otlp`, async () => {
      const response = await fetch(`${api}/api/v1/label/__name__/values`);
      return usedNames(((await response.json()) as { data: string[] }).data);
    });
  });

test('add_metric_suffixes: false of a collector, with --otlp.metric-names=prometheus', PEERS, async () => {
  const [receiver, exporter] = [await freePort(), await freePort()];
  const config = join(folder, 'collector.yml');
  writeFileSync(
    config,
    JSON.stringify({
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${receiver}` } } } },
      exporters: { prometheus: { endpoint: `127.0.0.1:${exporter}`, add_metric_suffixes: false } },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { metrics: { receivers: ['otlp'], exporters: ['prometheus'] } },
      },
    }),
  );
  await startPeer('otelcol', ['--config', config], `http://127.0.0.1:${receiver}/`);
  await checkNames(`http://127.0.0.1:${receiver}`, async () =>
    namesIn(await (await fetch(`http://127.0.0.1:${exporter}/metrics`)).text()),
  );
});
