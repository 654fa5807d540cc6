/**
 * No event is lost at the highest exit rate that two guests reach. The test suite runs this for 10 seconds. For a
 * longer run:
 *
 *   FULL_SPEED_SECONDS=60 node build/test/live/full-speed.test.js
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits } from '../support/guest/agent-checks.js';
import { liveTest, numberFromEnvironment } from '../support/guest/live-test.js';
import { ringBufferStats } from '../support/guest/ring-buffers.js';
import { startGuest } from '../support/guest/start-guest.js';

const SECONDS = numberFromEnvironment('FULL_SPEED_SECONDS', 10);
const LIVE = { ...liveTest(), timeout: (SECONDS + 300) * 1000 };
const SCRAPE_INTERVAL_MS = 1000;

afterEach(endAll);

test(`two guests at full speed for ${SECONDS} s, scraped each second: no event is lost`, LIVE, async (t) => {
  const agent = await startAgent();
  const guests = ['speed-a', 'speed-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  const scrapeMs: number[] = [];
  for (let second = 0; second < SECONDS; second++) {
    const start = performance.now();
    await agent.scrape();
    scrapeMs.push(performance.now() - start);
    await sleep(Math.max(0, SCRAPE_INTERVAL_MS - (performance.now() - start)));
  }
  for (const guest of guests) await guest.kill();
  const samples = await agent.scrapeUntil('empty ring buffers', () => ringBufferStats(agent.instance).waiting === 0);
  const counted = await agent.scrape();
  const stats = ringBufferStats(agent.instance);
  assert.equal(stats.lost, 0);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_unknown_gaps_total'), 0);
  assert.equal(counted.sum('kvm_exit_exporter_events_total'), stats.read);
  for (const { name, writesDone } of guests) {
    // The guest counts a write after its exit, so it may have been killed in between.
    const ahead = ioExits(counted, name) - writesDone();
    assert.ok(ahead === 0 || ahead === 1, `${name} did ${writesDone()} writes, and ${ahead} more are counted`);
  }
  const perSecond = counted.sum('kvm_exit_exporter_events_total') / SECONDS;
  t.diagnostic(`${perSecond.toFixed(0)} events a second, slowest scrape ${Math.max(...scrapeMs).toFixed(0)} ms`);
  await agent.stop();
});
