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
  const agent = await WebAgent.start('--advice.lasting=5s');
  const seen: string[] = [];
  for (let tries = 0; tries < 240; tries++) {
    await sleep(500);
    const api = await bodyOf(agent, '/api/advice');
    const [metrics, page] = [await bodyOf(agent, '/metrics'), await bodyOf(agent, '/')];
    // A finding can end between the requests.
    for (const { vm, advice, severity, title } of JSON.parse(api).findings) {
      const isMetric = metrics.includes(`kvm_vm_advice{vm="${vm}",advice="${advice}",severity="${severity}"} `);
      if (isMetric && page.includes(`${vm}: ${title}`)) return;
      seen.push(advice);
    }
  }
  assert.fail(`no finding in all three; in the API: ${seen.join()}`);
});

test('the agent serves the runbook that an alert links to', async () => {
  const agent = await WebAgent.start();
  assert.match(await bodyOf(agent, '/runbooks/KvmFatalExit'), /<h1>KvmFatalExit<\/h1>/);
  assert.match(await bodyOf(agent, '/advice'), /<h1>What to change<\/h1>/);
  const missing = await ask(`${agent.url}/runbooks/..%2f..%2fpackage`);
  assert.ok(typeof missing !== 'string' && missing.status === 404);
});
