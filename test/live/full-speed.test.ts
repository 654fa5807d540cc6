/**
 * Nothing is lost at the highest rate that two guests reach: FULL_SPEED_SECONDS=60 node build/test/live/full-speed.test.js
 * takes its time; the test suite does not have it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { needs, type Requirement } from '../support/requirements.js';

const SECONDS = Number(process.env.FULL_SPEED_SECONDS ?? 10);
const live = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  timeout: (SECONDS + 60) * 1000,
});

afterEach(endAll);
const SCRAPE_MS = 1000;

/** A figure of the buffer's own statistics, summed over its CPUs. */
function ofStats(instance: string, name: string): number {
  const folder = join(TRACEFS, 'instances', instance, 'per_cpu');
  return readdirSync(folder).reduce((sum, cpu) => {
    const stats = readFileSync(join(folder, cpu, 'stats'), 'utf8');
    return sum + Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(stats)?.[1]);
  }, 0);
}

test(`two guests at full speed for ${SECONDS} s, scraped each second: no event is lost`, live(), async (t) => {
  const agent = await startAgent();
  const guests = ['speed-a', 'speed-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  const slowestMs: number[] = [];
  for (let second = 0; second < SECONDS; second++) {
    const start = performance.now();
    await agent.scrape();
    slowestMs.push(performance.now() - start);
    await sleep(Math.max(0, SCRAPE_MS - (performance.now() - start)));
  }
  for (const guest of guests) await guest.kill();
  const samples = await agent.scrapeUntil(
    'all that was written is read',
    () => ofStats(agent.instance, 'entries') === 0,
  );
  const counted = await agent.scrape();
  assert.equal(ofStats(agent.instance, 'overrun'), 0);
  assert.equal(ofStats(agent.instance, 'dropped events'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_unknown_gaps_total'), 0);
  assert.equal(counted.sum('kvm_exit_exporter_events_total'), ofStats(agent.instance, 'read events'));
  for (const { name, rounds } of guests) {
    // It was ended between an exit and its own counting of it, or not.
    const ahead = counted.sum('kvm_exits_total', { vm: name, layer: 'qemu', reason: 'KVM_EXIT_IO' }) - rounds();
    assert.ok(ahead === 0 || ahead === 1, `${name} went round ${rounds()} times, counted are ${ahead} more`);
  }
  const perSecond = counted.sum('kvm_exit_exporter_events_total') / SECONDS;
  t.diagnostic(`${perSecond.toFixed(0)} events a second, slowest scrape ${Math.max(...slowestMs).toFixed(0)} ms`);
  await agent.stop();
});
