/** What promtool of Prometheus 3 says of the metrics, the rules and their tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { NOT_IN_DEMO } from '../deploy/prometheus/not-in-demo.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { ROOT } from '../support/paths.js';
import { needsPeers, pathOfPeer } from '../support/peers/binaries.js';
import { fedUnitTest } from '../support/prometheus/fed-unit-test.js';

const PEERS = needsPeers();
const RULES = ['rules.yml', 'alerts.yml', 'native-histograms/rules.yml'].map((file) =>
  join(ROOT, 'deploy/prometheus', file),
);
const TESTS = join(ROOT, 'test/deploy/prometheus');

afterEach(endAll);

function promtool(args: readonly string[], input = ''): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(pathOfPeer('promtool'), args, { input, encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('check metrics finds nothing in what the agent serves', PEERS, async () => {
  const agent = await WebAgent.start();
  const response = await fetch(`${agent.url}/metrics`);
  const text = await response.text();
  assert.match(text, /^kvm_exits_total\{/m);
  assert.deepEqual(promtool(['check', 'metrics'], text), { status: 0, stdout: '', stderr: '' });
});

test('check rules finds nothing', PEERS, () => {
  const { status, stdout, stderr } = promtool(['check', 'rules', '--lint=all', '--lint-fatal', ...RULES]);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

for (const file of readdirSync(TESTS).filter((name) => name.endsWith('.test.yml')))
  test(`test rules passes ${file}`, PEERS, () => {
    const { status, stdout, stderr } = promtool(['test', 'rules', join(TESTS, file)]);
    assert.equal(status, 0, `${stdout}${stderr}`);
  });

test('queries on made-up series have the results that Prometheus 2 has', PEERS, () => {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'));
  try {
    const files = NOT_IN_DEMO.map((fed, index) => {
      const file = join(folder, `${index}.json`);
      writeFileSync(file, fedUnitTest(fed));
      return file;
    });
    const { status, stdout, stderr } = promtool(['test', 'rules', ...files]);
    assert.equal(status, 0, `${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
