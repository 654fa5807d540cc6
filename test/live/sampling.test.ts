/** Sampling of running guests: exact figures stay exact, estimates follow them, and the host is left as it was. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';

afterEach(endAll);

const BURST = 20;
const STEPS = [{ bursts: { out: 0x80, times: BURST, everyMs: 10 } }];
const IO = 'kvm_io_exits_total';
/** Several periods on a busy machine. */
const WITHIN_MS = 120_000;

function isOn(instance: string, event: string): boolean {
  return readFileSync(`${TRACEFS}/instances/${instance}/events/kvm/${event}/enable`, 'utf8').trim() === '1';
}

test('accesses seen in windows are scaled to all exits to userspace, one period late', liveTest(), async () => {
  const agent = await startAgent({ args: ['--sampling=1s/3s'] });
  const guest = startGuest({ name: 'sampled', steps: STEPS });
  const vm = { vm: 'sampled' };
  let [shown, fraction] = [0, 0];
  const states = new Set<boolean>();
  const samples = await agent.scrapeUntil(
    'estimates of several periods',
    (now) => {
      const io = now.sum(IO, { ...vm, layer: 'qemu', address: '0x80' });
      assert.ok(io >= shown, `${io} accesses after ${shown}`);
      const exits = now.sum('kvm_exits_total', { ...vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });
      // Everything that is estimated is an exit that was counted.
      assert.ok(io <= exits, `${io} accesses in ${exits} exits`);
      states.add(isOn(agent.instance, 'kvm_pio'));
      assert.equal(isOn(agent.instance, 'kvm_userspace_exit'), true);
      shown = io;
      fraction = now.sum('kvm_exit_exporter_sampled_fraction', {});
      // Each second has 100 bursts at most, so this takes four periods, of which most events are in no window.
      return io > 10 * 100 * BURST;
    },
    WITHIN_MS,
  );
  // The guest counts its writes itself.
  const exits = samples.sum('kvm_exits_total', { ...vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });
  // It counts a burst when it is done, and another one may be under way.
  assert.ok(exits <= guest.writesDone() + BURST, `${exits} exits, ${guest.writesDone()} writes`);
  assert.ok(guest.writesDone() - exits < 60 * 100 * BURST, 'exits to userspace are counted at once');
  assert.ok(fraction > 0.1 && fraction < 0.9, `a fraction of ${fraction}`);
  assert.deepEqual(states, new Set([true, false]), 'kvm_pio is on in windows, and off between them');
  // Nothing that the switching did is taken for another program's write, or for a loss.
  assert.equal(samples.sum('kvm_exit_exporter_unknown_gaps_total', {}), 0);
  assert.ok(!agent.log().includes('another program'), agent.log());
  await agent.stop();
  await guest.kill();
});

test('an agent that is stopped at any time of a period leaves nothing behind', liveTest(), async () => {
  for (let round = 0; round < 4; round++) {
    const agent = await startAgent({ args: ['--sampling=1s/2s'] });
    await agent.scrapeUntil(
      'a later moment of the period',
      () => isOn(agent.instance, 'kvm_entry') === (round % 2 === 0),
      WITHIN_MS,
    );
    await agent.stop();
    assert.ok(!existsSync(`${TRACEFS}/instances/${agent.instance}`));
  }
});

test('auto counts everything on a quiet host', liveTest(), async () => {
  const agent = await startAgent({ args: ['--sampling=auto'] });
  const guest = startGuest({ name: 'quiet', steps: STEPS });
  await agent.scrapeUntil(
    'a whole period with all events on',
    (now) => now.sum('kvm_exit_exporter_sampled_fraction', {}) > 0.9,
    WITHIN_MS,
  );
  assert.equal(isOn(agent.instance, 'kvm_pio'), true);
  await guest.kill();
  await agent.stop();
});
