/** `top` of this host, with an agent that shows one vCPU that waits for a CPU half of the time. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Agent } from '../../../src/agent/agent.js';
import { localSource } from '../../../src/commands/top/local-source.js';
import { parseCommandLine } from '../../../src/config/parse-command-line.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../../support/agent/vcpu-times.js';

/** A clock that only the test moves. */
function handClock(t: TestContext): { nowMs: number } {
  const clock = { nowMs: 1000 };
  t.mock.method(performance, 'now', () => clock.nowMs);
  return clock;
}

const waitingAgent = (clock: { readonly nowMs: number }) => {
  const halfMs = () => clock.nowMs / 2;
  const times = () => vcpuTimes({ vm: 'web', vcpu: '0', guestSeconds: halfMs() / 1000, readySeconds: halfMs() / 1000 });
  return { snapshot: () => ({ ...emptySnapshot(), vcpuTimes: [times()] }) } as Partial<Agent> as Agent;
};

test('a finding is shown once it has lasted, whatever the interval of the screen', async (t) => {
  const clock = handClock(t);
  const startMs = clock.nowMs;
  const { get } = parseCommandLine(['top', '--advice.lasting=1s']);
  const source = localSource(waitingAgent(clock), get);
  let found = null;
  for (; found === null; clock.nowMs += 100) {
    const { vms } = await source.current();
    found = vms[0]?.finding ?? null;
    assert.ok(clock.nowMs - startMs < 20_000, 'no finding');
  }
  assert.equal(found.advice, 'waiting-for-cpu');
  assert.ok(Math.abs((found.cost ?? 0) - 0.5) < 0.01, String(found.cost));
  // A finding that is shown sooner has not lasted.
  assert.ok(clock.nowMs - startMs >= 1000);
});

test('the first rates are those of a whole interval, also on a host where a snapshot takes long', async (t) => {
  const clock = handClock(t);
  const slow = () => {
    clock.nowMs += 150;
    return emptySnapshot();
  };
  const source = localSource({ snapshot: slow } as Partial<Agent> as Agent, parseCommandLine(['top']).get);
  assert.equal((await source.current()).seconds, null);
  clock.nowMs += 300;
  assert.ok(((await source.current()).seconds ?? 0) >= 0.3);
});

test('who looks at a screen does not wait for minutes', () => {
  assert.equal(parseCommandLine(['top']).get('advice.lasting'), 10);
});
