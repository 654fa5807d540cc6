/**
 * The agent reads too late: events that were overwritten meanwhile are counted as lost, exactly.
 * FAULTS_STOPPED_SECONDS=60 stops it for a minute.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits } from '../../support/guest/agent-checks.js';
import { liveTest, numberFromEnvironment } from '../../support/guest/live-test.js';
import { scrapeAllEvents } from '../../support/guest/ring-buffers.js';
import { startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const SECONDS = numberFromEnvironment('FAULTS_STOPPED_SECONDS', 10);

const lost = (samples: Samples) => samples.sum('kvm_exit_exporter_lost_events_total', { source: 'tracefs' });
const events = (samples: Samples) => samples.sum('kvm_exit_exporter_events_total', { source: 'tracefs' });

test('buffers overrun by a fast guest: counted and lost events add up to what it did', liveTest(), async () => {
  const agent = await startAgent({
    args: ['--tracefs.buffer-size=64KiB', '--tracefs.events=kvm:kvm_userspace_exit'],
  });
  const times = 100_000;
  agent.process.kill('SIGSTOP');
  await startGuest({ name: 'too-fast', steps: [{ out: 0x80, times }] }).finished();
  agent.process.kill('SIGCONT');
  const samples = await scrapeAllEvents(agent, 'too-fast', '');
  assert.ok(lost(samples) > 0);
  assert.ok(ioExits(samples, 'too-fast') + ioExits(samples, '') < times);
  assert.ok(events(samples) + lost(samples) >= times + 1);
  await agent.stop();
});

test(`an agent stopped for ${SECONDS} s while two guests run: lost events are counted exactly`, {
  ...liveTest(),
  timeout: (SECONDS + 300) * 1000,
}, async (t) => {
  const agent = await startAgent({ args: ['--tracefs.buffer-size=1MiB'] });
  const guests = ['stop-a', 'stop-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  for (const { name } of guests) await agent.scrapeUntil(name, (samples) => ioExits(samples, name) > 0);
  const before = await agent.scrape();
  agent.process.kill('SIGSTOP');
  await sleep(SECONDS * 1000);
  for (const guest of guests) await guest.kill();
  agent.process.kill('SIGCONT');
  const after = await scrapeAllEvents(agent, 'stop-a', 'stop-b');
  assert.ok(lost(after) > lost(before));
  for (const { name, writesDone } of guests) {
    const counted = ioExits(after, name);
    assert.ok(counted > ioExits(before, name) && counted <= writesDone() + 1, `${name}: ${counted} of ${writesDone()}`);
  }
  // Every port write causes at least one event, so counted and lost events together are more than the writes.
  const writes = guests.reduce((sum, guest) => sum + guest.writesDone(), 0);
  assert.ok(events(after) + lost(after) > writes);
  assert.equal(after.sum('kvm_exit_exporter_malformed_total'), 0);
  t.diagnostic(`${writes} port writes, ${events(after)} events counted, ${lost(after)} lost`);
  await agent.stop();
});
