/**
 * The agent does not get to read in time: what was overwritten meanwhile is counted as lost, to the event.
 * FAULTS_STOPPED_SECONDS=60 has it stopped for a minute.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../../support/agent/agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits, liveTest, longer, ringBufferStats, stopRecording } from '../../support/guest/agent-checks.js';
import { startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';

afterEach(endAll);

const SECONDS = longer('FAULTS_STOPPED_SECONDS', 10);

const lost = (samples: Samples) => samples.sum('kvm_exit_exporter_lost_events_total', { source: 'tracefs' });
const events = (samples: Samples) => samples.sum('kvm_exit_exporter_events_total', { source: 'tracefs' });

/** What the kernel's statistics say was written is counted, or counted as lost. */
async function nothingIsMissing(agent: RunningAgent): Promise<Samples> {
  stopRecording(agent.instance);
  return agent.scrapeUntil('counted + lost = written', (samples) => {
    const { read, waiting, lost: overwritten } = ringBufferStats(agent.instance);
    return waiting === 0 && events(samples) === read && lost(samples) === overwritten;
  });
}

test('buffers overrun by a guest that is faster: counted + lost is what it did', liveTest(), async () => {
  const agent = await startAgent({
    args: ['--tracefs.buffer-size=64KiB', '--tracefs.events=kvm:kvm_userspace_exit'],
  });
  const times = 100_000;
  agent.process.kill('SIGSTOP');
  await startGuest({ name: 'too-fast', steps: [{ out: 0x80, times }] }).finished();
  agent.process.kill('SIGCONT');
  const samples = await nothingIsMissing(agent);
  assert.ok(lost(samples) > 0);
  assert.ok(ioExits(samples, 'too-fast') + ioExits(samples, '') < times);
  assert.ok(events(samples) + lost(samples) >= times + 1);
  await agent.stop();
});

test(`stopped for ${SECONDS} s while two guests run: what is lost is known to the event`, {
  ...liveTest(),
  timeout: (SECONDS + 60) * 1000,
}, async (t) => {
  const agent = await startAgent({ args: ['--tracefs.buffer-size=1MiB'] });
  const guests = ['stop-a', 'stop-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  for (const { name } of guests) await agent.scrapeUntil(name, (samples) => ioExits(samples, name) > 0);
  const before = await agent.scrape();
  agent.process.kill('SIGSTOP');
  await sleep(SECONDS * 1000);
  for (const guest of guests) await guest.kill();
  agent.process.kill('SIGCONT');
  const after = await nothingIsMissing(agent);
  assert.ok(lost(after) > lost(before));
  for (const { name, rounds } of guests) {
    const counted = ioExits(after, name);
    assert.ok(counted > ioExits(before, name) && counted <= rounds() + 1, `${name}: ${counted} of ${rounds()}`);
  }
  // One port write is one of these each: without the lost ones they are fewer than what the guests did, with them more.
  const rounds = guests.reduce((sum, guest) => sum + guest.rounds(), 0);
  assert.ok(events(after) + lost(after) > rounds);
  assert.equal(after.sum('kvm_exit_exporter_malformed_total'), 0);
  t.diagnostic(`${rounds} rounds, ${events(after)} events counted, ${lost(after)} lost`);
  await agent.stop();
});
