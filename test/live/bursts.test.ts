/** Guests that sleep between bursts of exits: exact, and at the rate that was asked for. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { needs } from '../support/requirements.js';

const LIVE = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu'), timeout: 60_000 };

afterEach(endAll);

test('a guest that does 100 writes at each of 50 ticks exits 5,000 times, and once to end itself', LIVE, async () => {
  const agent = await startAgent();
  const guest = startGuest({ name: 'bursts', steps: [{ bursts: { out: 0x80, times: 100, everyMs: 10, ticks: 50 } }] });
  await guest.finished();
  assert.equal(guest.rounds(), 5000);
  const of = { vm: 'bursts', layer: 'qemu', reason: 'KVM_EXIT_IO' };
  await agent.scrapeUntil('5,001 exits', (now) => now.sum('kvm_exits_total', of) === 5001);
  await agent.stop();
});

test('a guest of bursts without an end does not get ahead of its timer', LIVE, async (t) => {
  const guest = startGuest({ name: 'endless', steps: [{ bursts: { out: 0x80, times: 50, everyMs: 20 } }] });
  const startMs = performance.now();
  while (guest.rounds() < 100) await sleep(20);
  const beforeMs = performance.now();
  const before = guest.rounds();
  await sleep(1000);
  const perSecond = ((guest.rounds() - before) * 1000) / (performance.now() - beforeMs);
  t.diagnostic(`${perSecond.toFixed(0)} a second, after ${(beforeMs - startMs).toFixed(0)} ms`);
  // 2,500 were asked for; two more bursts where the first look came before and the last after one.
  assert.ok(perSecond < 2700, `${perSecond} a second`);
  await guest.kill();
});
