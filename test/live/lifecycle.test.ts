/** VMs start and stop while the agent runs; the agent stops, crashes and starts again. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, PORT_WRITES } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Step } from '../support/guest/steps.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Runs a guest with this number of port writes and waits until exactly these are counted. */
function runCounted(agent: RunningAgent, name: string, times: number): Promise<void> {
  return runSteps(agent, name, times, [{ out: 0x80, times }]);
}

/**
 * The same for a guest whose vCPU runs for `ms` on any machine: its timer starts a burst of 100 port writes every 10
 * ms.
 */
function runCountedFor(agent: RunningAgent, name: string, ms: number): Promise<void> {
  const bursts = { out: 0x80, times: 100, everyMs: 10, ticks: ms / 10 };
  return runSteps(agent, name, bursts.times * bursts.ticks, [{ bursts }]);
}

async function runSteps(agent: RunningAgent, name: string, times: number, steps: readonly Step[]): Promise<void> {
  await startGuest({ name, steps }).finished();
  const samples = await agent.scrapeUntil(`${name}: ${times}`, (now) => ioExits(now, name) === times + 1);
  assert.equal(samples.of('kvm_vm_info', { vm: name }).length, 1);
}

test(
  'a VM that was started before the agent has its name from the first scrape on, and its exits are counted',
  liveTest(),
  async () => {
    const guest = startGuest({ name: 'started-before', steps: [{ forever: { out: 0x80 } }] });
    await sleep(1000);
    const agent = await startAgent();
    assert.equal((await agent.scrape()).of('kvm_vm_info', { vm: 'started-before' }).length, 1);
    const first = ioExits(
      await agent.scrapeUntil('exits', (now) => ioExits(now, 'started-before') > 0),
      'started-before',
    );
    await agent.scrapeUntil('more exits', (now) => ioExits(now, 'started-before') > first);
    assert.equal(ioExits(await agent.scrape(), ''), 0);
    await guest.kill();
    await agent.stop();
  },
);

test('the series of a stopped VM are removed after the grace period', liveTest(), async () => {
  const agent = await startAgent({ args: ['--vm.grace-period=6s'] });
  await runCounted(agent, 'stops', PORT_WRITES);
  await sleep(1500);
  assert.equal(ioExits(await agent.scrape(), 'stops'), PORT_WRITES + 1);
  await agent.scrapeUntil('gone', ({ all }) => all.every(({ labels }) => labels.get('vm') !== 'stops'), 20_000);
  // The events of the VM do not appear under another name.
  assert.equal(ioExits(await agent.scrape(), ''), 0);
  await agent.stop();
});

test('a VM whose vCPU runs for only 200 ms is counted under its name', liveTest(), async () => {
  const agent = await startAgent();
  await sleep(1500);
  await runCountedFor(agent, 'short', 200);
  await agent.stop();
});

test(
  'a VM whose vCPU runs for only 50 ms is counted under its name, because debugfs shows new VMs at once',
  liveTest('kvm-debugfs'),
  async () => {
    const agent = await startAgent();
    await sleep(1500);
    for (const name of ['shorter-a', 'shorter-b', 'shorter-c']) await runCountedFor(agent, name, 50);
    await agent.stop();
  },
);

test(
  'without debugfs, the agent finds new VMs by looking for new processes',
  liveTest('kvm-debugfs', 'unshare'),
  async () => {
    const withoutDebugfs = ['unshare', '--mount', 'sh', '-c', 'umount /sys/kernel/debug && exec "$@"', '-'];
    const agent = await startAgent({ prefix: withoutDebugfs });
    await sleep(1500);
    await runCountedFor(agent, 'without-debugfs', 200);
    await agent.stop();
  },
);

test(
  'the next start takes over the instance that kill -9 left behind, and a clean stop removes it',
  liveTest(),
  async () => {
    const instance = uniqueInstance();
    const killed = await startAgent({ instance });
    await runCounted(killed, 'before-kill', PORT_WRITES);
    await killed.kill();
    assert.ok(tracingInstances().includes(instance));
    const agent = await startAgent({ instance });
    await runCounted(agent, 'after-kill', PORT_WRITES);
    await agent.stop();
  },
);

test(
  'without the kvm module the agent waits, logs that once, and source_up is 0',
  needs('root', 'tracefs'),
  async (t) => {
    const tracefs = temporaryFolder(t, 'tracefs');
    mkdirSync(join(tracefs, 'events'));
    mkdirSync(join(tracefs, 'instances'));
    const agent = await startAgent({ args: [`--path.tracefs=${tracefs}`] });
    await sleep(500);
    const up = (await agent.scrape()).of('kvm_exit_exporter_source_up', { source: 'tracefs' });
    assert.deepEqual(
      up.map(({ value }) => value),
      [0],
    );
    assert.equal(agent.log().match(/msg=waiting err=.*modprobe kvm/g)?.length, 1, agent.log());
    await agent.stop();
  },
);
