/** What the log says when the web server starts, and what the first request for the VMs' rates gets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';

afterEach(endAll);

interface Rates {
  readonly seconds: number | null;
  readonly vms: readonly { readonly vm: string; readonly kvm_exits_per_second: number | null }[];
}

async function ratesOf(agent: WebAgent): Promise<Rates> {
  const answer = await ask(`${agent.url}/api/vms`);
  assert.ok(typeof answer !== 'string', String(answer));
  return JSON.parse(answer.body.toString()) as Rates;
}

test('the first request has figures, and what it gets does not depend on earlier requests', async () => {
  // A busy machine needs longer until there are some, and observes meanwhile, which it does each five seconds.
  for (const pauseMs of [500, 1000, 2000, 4000]) {
    const agent = await WebAgent.start();
    await sleep(pauseMs);
    const first = await ratesOf(agent);
    const page = await ask(`${agent.url}/`);
    const [second, isLast] = [await ratesOf(agent), pauseMs === 4000];
    if (!isLast && (first.seconds === null || first.seconds !== second.seconds)) continue;
    assert.ok(first.seconds !== null && first.seconds > 0);
    for (const { vm, kvm_exits_per_second: rate } of first.vms) assert.notEqual(rate, null, vm);
    assert.ok(typeof page !== 'string' && !page.body.toString().includes('…'), 'the page has figures');
    assert.deepEqual(second, first);
    return;
  }
});

test('the log says on which address it listens, and that no password is asked', async () => {
  const agent = await WebAgent.startCommand('demo', ['--web.listen-address=0.0.0.0:0']);
  await agent.until('password');
  assert.match(agent.log, /level=info msg=serving url=http:\/\/127\.0\.0\.1:\d+\/metrics address=127\.0\.0\.1:\d+$/m);
  assert.match(agent.log, /level=info msg=serving url=http:\/\/localhost:\d+\/metrics address=0\.0\.0\.0:\d+$/m);
  assert.match(agent.log, /level=info msg="no password is asked: --web\.config\.file sets one" tls=none$/m);
});

test('the log of a server with passwords does not say that none is asked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'web-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'web.yml');
  writeFileSync(file, 'basic_auth_users: { a: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG }\n');
  const agent = await WebAgent.start(`--web.config.file=${file}`);
  await agent.until('replaying');
  assert.doesNotMatch(agent.log, /no password/);
});
