/** /api/vm: one VM in detail. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmDetail } from '../../src/rates/vm-detail.js';
import type { CurrentRates } from '../../src/rates/vm-rates.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';

afterEach(endAll);

test('/api/vm shows a VM of /api/vms in detail', { timeout: 300_000 }, async () => {
  const { url } = await WebAgent.start();
  const read = async <Answer>(path: string) => (await (await fetch(`${url}${path}`)).json()) as Answer;
  let current: CurrentRates;
  do {
    await sleep(200);
    current = await read<CurrentRates>('/api/vms');
  } while (current.seconds === null);
  const detail = await read<VmDetail>('/api/vm?name=legacy%2Ddb');
  assert.equal(detail.vm.vm, 'legacy-db');
  assert.ok(detail.seconds !== null && detail.seconds > 0);
  for (const list of [detail.vcpus, detail.reasons, detail.causes, detail.devices, detail.accesses, detail.findings])
    assert.deepEqual(Object.keys(list), ['rows', 'more']);
});

test('a name that no VM has, no name and two names', { timeout: 300_000 }, async () => {
  const { url } = await WebAgent.start();
  const WRONG = [
    ['?name=web-2', 404],
    ['?name=../../etc/passwd%00', 404],
    ['?name=%FF%3Cscript%3E', 404],
    ['?name=__proto__', 404],
    ['', 400],
    ['?vm=web-1', 400],
    ['?name=web-1&name=legacy-db', 400],
  ] as const;
  for (const [query, status] of WRONG) {
    const response = await fetch(`${url}/api/vm${query}`);
    assert.equal(response.status, status, query);
    assert.doesNotMatch(await response.text(), /passwd|script|proto/);
  }
});
