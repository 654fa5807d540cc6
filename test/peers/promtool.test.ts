/** What promtool of Prometheus 3 says of the metrics, the rules and their tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { ROOT } from '../support/paths.js';
import { needsPeers, pathOfPeer } from '../support/peers/binaries.js';

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
