/** `top` of this host, with an agent that shows one vCPU that waits for a CPU half of the time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from '../../../src/agent/agent.js';
import { localSource } from '../../../src/commands/top/local-source.js';
import { parseCommandLine } from '../../../src/config/parse-command-line.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../../support/agent/vcpu-times.js';

const waitingAgent = () => {
  const startMs = performance.now();
  const seconds = () => (performance.now() - startMs) / 1000;
  const times = () => vcpuTimes({ vm: 'web', vcpu: '0', guestSeconds: seconds() / 2, readySeconds: seconds() / 2 });
  return { snapshot: () => ({ ...emptySnapshot(), vcpuTimes: [times()] }) } as Partial<Agent> as Agent;
};

test('a finding is shown once it has lasted, whatever the interval of the screen', async () => {
  const { get } = parseCommandLine(['top', '--advice.lasting=1s']);
  const startMs = performance.now();
  const source = localSource(waitingAgent(), get);
  let found = null;
  while (found === null) {
    const { vms } = await source.current();
    found = vms[0]?.finding ?? null;
    assert.ok(performance.now() - startMs < 20_000, 'no finding');
    await sleep(100);
  }
  assert.equal(found.advice, 'waiting-for-cpu');
  assert.ok(Math.abs((found.cost ?? 0) - 0.5) < 0.01, String(found.cost));
  // A finding that is shown sooner has not lasted.
  assert.ok(performance.now() - startMs >= 1000);
});

test('the first rates are those of a whole interval, also on a host where a snapshot takes long', async () => {
  const slow = () => {
    for (const endMs = performance.now() + 150; performance.now() < endMs; );
    return emptySnapshot();
  };
  const source = localSource({ snapshot: slow } as Partial<Agent> as Agent, parseCommandLine(['top']).get);
  assert.equal((await source.current()).seconds, null);
  await sleep(300);
  assert.ok(((await source.current()).seconds ?? 0) >= 0.3);
});

test('who looks at a screen does not wait for minutes', () => {
  assert.equal(parseCommandLine(['top']).get('advice.lasting'), 10);
});
