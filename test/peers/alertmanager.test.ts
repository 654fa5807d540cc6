/**
 * The example configuration of Alertmanager, and an alert that goes from the demonstration's events through Prometheus
 * 3 and Alertmanager to a webhook.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alerts } from '../../grafana/rules/alerts.js';
import { recordingRules } from '../../grafana/rules/recording-rules.js';
import { ruleFile } from '../../grafana/rules/rule-files.js';
import { THRESHOLDS } from '../../grafana/thresholds.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { ROOT } from '../support/paths.js';
import { needsPeers, pathOfPeer } from '../support/peers/binaries.js';
import { startPeer } from '../support/peers/peer-process.js';

const PEERS = needsPeers();
const EXAMPLE = join(ROOT, 'deploy/alertmanager/alertmanager.yml');
const folder = mkdtempSync(join(tmpdir(), 'alertmanager-'));
after(() => rmSync(folder, { recursive: true, force: true }));
afterEach(endAll);

interface Notification {
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly alerts: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

/** A webhook that keeps what it gets. */
async function startWebhook(): Promise<{ readonly url: string; readonly notifications: Notification[] }> {
  const notifications: Notification[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      notifications.push(JSON.parse(text));
      response.end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, notifications };
}

/** Starts Alertmanager with the example, except for its address of the webhook and its patience. */
async function startAlertmanager(webhook: string): Promise<string> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, `alertmanager-${port}.yml`);
  const text = readFileSync(EXAMPLE, 'utf8')
    .replace('http://localhost:9095/', webhook)
    .replace('group_wait: 30s', 'group_wait: 2s');
  assert.ok(text.includes(webhook) && text.includes('group_wait: 2s'));
  writeFileSync(config, text);
  const data = join(folder, `alertmanager-${port}`);
  await startPeer(
    'alertmanager',
    [
      `--config.file=${config}`,
      `--storage.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
    `${url}/-/ready`,
  );
  return url;
}

async function until<Value>(what: string, ask: () => Promise<Value | undefined> | Value | undefined): Promise<Value> {
  const deadline = Date.now() + 180_000;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    assert.ok(Date.now() < deadline, what);
    await sleep(200);
  }
}

test('amtool accepts the example', PEERS, () => {
  const { status, stdout, stderr } = spawnSync(pathOfPeer('amtool'), ['check-config', EXAMPLE], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /5 inhibit rules/);
});

/** Alerts of two VMs and of two agents, and those of them that are not sent. */
const FIRING: readonly (readonly [labels: Readonly<Record<string, string>>, isInhibited: boolean])[] = [
  [{ alertname: 'KvmUserspaceExitSpike', vm: 'a', severity: 'critical' }, false],
  [{ alertname: 'KvmUserspaceExitSpike', vm: 'a', severity: 'warning' }, true],
  [{ alertname: 'KvmHighShareReachingQemu', vm: 'a', severity: 'warning' }, true],
  [{ alertname: 'KvmHighShareReachingQemu', vm: 'b', severity: 'warning' }, false],
  [{ alertname: 'KvmFatalExit', vm: 'c', severity: 'critical' }, false],
  [{ alertname: 'KvmUserspaceExitSpike', vm: 'c', severity: 'critical' }, true],
  [{ alertname: 'KvmExitExporterEventsLost', source: 'kernel', severity: 'warning' }, false],
  [{ alertname: 'KvmExitExporterAuditDifference', vm: 'b', severity: 'warning' }, true],
];

test('a VM makes one message, with the alert that explains the rest', PEERS, async () => {
  const webhook = await startWebhook();
  const url = await startAlertmanager(webhook.url);
  const body = FIRING.map(([labels]) => ({ labels: { instance: 'host-1', job: 'kvm-exit-exporter', ...labels } }));
  const { status } = await fetch(`${url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(status, 200);
  const sent = FIRING.filter(([, isInhibited]) => !isInhibited).map(([labels]) => describe(labels));
  const received = () => webhook.notifications.flatMap(({ alerts: own }) => own.map(({ labels }) => describe(labels)));
  await until('all messages', () => (received().length >= sent.length ? true : undefined));
  assert.deepEqual(received().sort(), [...sent].sort());
  assert.deepEqual(webhook.notifications.map(({ groupLabels }) => groupLabels.vm ?? groupLabels.alertname).sort(), [
    'KvmExitExporterEventsLost',
    'a',
    'b',
    'c',
  ]);
});

function describe({ alertname, vm = '', severity }: Readonly<Record<string, string>>): string {
  return `${alertname} ${vm} ${severity}`;
}

/** Thresholds that the demonstration's VM on an emulated disk exceeds at once. */
const SHORT = { ...THRESHOLDS, rateWindow: '5s', recordEvery: '1s', share: { above: 0.5, floor: 1, for: '1s' } };

test("an alert about the demonstration's events arrives, and says that it is a replay", PEERS, async () => {
  const webhook = await startWebhook();
  const alertmanager = await startAlertmanager(webhook.url);
  const agent = await WebAgent.start();
  const { host: target } = new URL(agent.url);
  const rules = join(folder, 'rules.yml');
  writeFileSync(rules, ruleFile([...recordingRules(SHORT), ...alerts(SHORT)]));
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'kvm-exit-exporter', static_configs: [{ targets: [target] }] }],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
    }),
  );
  const port = await freePort();
  const data = `--storage.tsdb.path=${join(folder, 'prometheus')}`;
  await startPeer(
    'prometheus',
    [`--config.file=${config}`, data, `--web.listen-address=127.0.0.1:${port}`],
    `http://127.0.0.1:${port}/-/ready`,
  );
  const alert = await until('the alert at the webhook', () =>
    webhook.notifications
      .flatMap(({ alerts: own }) => own)
      .find(({ labels }) => labels.alertname === 'KvmHighShareReachingQemu'),
  );
  assert.deepEqual([alert.labels.vm, alert.labels.instance, alert.labels.severity], ['legacy-db', target, 'warning']);
  assert.equal(
    alert.annotations.summary,
    `Replay of a recording: Most VM exits of VM legacy-db on ${target} reach QEMU`,
  );
  const runbook = await fetch(alert.annotations.runbook_url ?? '');
  assert.equal(runbook.status, 200);
});
