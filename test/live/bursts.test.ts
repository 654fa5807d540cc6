/**
 * Guests that halt between bursts of exits: their exits are counted exactly, and come at the rate that was asked for.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, runUntilKnown } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';

afterEach(endAll);

test(
  'a guest with 100 port writes at each of 50 timer ticks exits 5,000 times, and once to end itself',
  liveTest(),
  async () => {
    const agent = await startAgent();
    const guest = await runUntilKnown(agent, {
      name: 'bursts',
      steps: [{ bursts: { out: 0x80, times: 100, everyMs: 10, ticks: 50 } }],
    });
    assert.equal(guest.writesDone(), 5000);
    await agent.scrapeUntil('5,001 exits', (now) => ioExits(now, 'bursts') === 5001);
    await agent.stop();
  },
);

test('a guest with endless bursts does not run ahead of its timer', liveTest(), async (t) => {
  const guest = startGuest({ name: 'endless', steps: [{ bursts: { out: 0x80, times: 50, everyMs: 20 } }] });
  const startMs = performance.now();
  while (guest.writesDone() < 100) await sleep(20);
  const beforeMs = performance.now();
  const before = guest.writesDone();
  await sleep(1000);
  const perSecond = ((guest.writesDone() - before) * 1000) / (performance.now() - beforeMs);
  t.diagnostic(`${perSecond.toFixed(0)} writes a second, after a start of ${(beforeMs - startMs).toFixed(0)} ms`);
  // The guest was asked for 2,500. The interval may contain two more bursts, one at each end.
  assert.ok(perSecond < 2700, `${perSecond} writes a second`);
  await guest.kill();
});
