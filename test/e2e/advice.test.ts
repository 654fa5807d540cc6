/** What to change, from the demonstration: by /api/advice, as a metric, and on the page. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';

afterEach(endAll);

async function bodyOf(agent: WebAgent, path: string): Promise<string> {
  const answer = await ask(`${agent.url}${path}`);
  assert.ok(typeof answer !== 'string', String(answer));
  assert.equal(answer.status, 200, path);
  return answer.body.toString();
}

test('a finding is in the API, the metric and the page, with the same VM and name', async () => {
  // Both VMs of the recording look for PCI devices in its first seconds.
  const agent = await WebAgent.start('--advice.lasting=5s');
  let api = '';
  for (let tries = 0; tries < 60 && !api.includes('"advice"'); tries++) {
    await sleep(500);
    api = await bodyOf(agent, '/api/advice');
  }
  const [finding] = JSON.parse(api).findings;
  assert.ok(finding !== undefined, api);
  const metrics = await bodyOf(agent, '/metrics');
  assert.ok(
    metrics.includes(`kvm_vm_advice{vm="${finding.vm}",advice="${finding.advice}",severity="${finding.severity}"} `),
  );
  const page = await bodyOf(agent, '/');
  assert.ok(page.includes('<h2>What to change</h2>'));
  assert.ok(page.includes(`${finding.vm}: ${finding.title}`));
});
