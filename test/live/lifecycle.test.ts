/** VMs start and stop while the agent runs; the agent stops, crashes and starts again. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import {
  assertCountsExactly,
  ioExits,
  PORT_WRITES,
  UNTIL_KNOWN,
  waitForLog,
  writesInAll,
} from '../support/guest/agent-checks.js';
import { delayMs } from '../support/guest/delay.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Runs a guest with this number of port writes and waits until exactly these are counted. */
async function runCounted(agent: RunningAgent, name: string, times: number): Promise<void> {
  await assertCountsExactly(agent, name, times);
  assert.equal((await agent.scrape()).of('kvm_vm_info', { vm: name }).length, 1);
}

/** An agent that is kept from running for longer while a VM runs may see it too late. */
const MAX_DELAY_MS = 10;
const MAX_TRIES = 10;

/**
 * The same for a guest whose vCPU runs for `ms` on any machine: its timer starts a burst of 100 port writes every 10
 * ms. Another one is run if the agent was kept from running meanwhile.
 */
async function runCountedFor(agent: RunningAgent, name: string, ms: number): Promise<void> {
  const bursts = { out: 0x80, times: 100, everyMs: 10, ticks: ms / 10 };
  const exits = bursts.times * bursts.ticks + 1;
  for (let tries = 1; ; tries++) {
    const vm = `${name}-${tries}`;
    const counts = (now: Samples) => [ioExits(now, vm), ioExits(now, '')] as const;
    const [, before] = counts(await agent.scrape());
    const delayedBefore = delayMs(agent.process.pid);
    await startGuest({ name: vm, steps: [{ bursts }] }).finished();
    const delayed = delayMs(agent.process.pid) - delayedBefore;
    const samples = await agent.scrapeUntil(`${vm}: ${exits}`, (now) => {
      const [named, unnamed] = counts(now);
      return named + unnamed - before >= exits;
    });
    if (ioExits(samples, vm) !== exits && delayed > MAX_DELAY_MS && tries < MAX_TRIES) continue;
    assert.equal(ioExits(samples, vm), exits, `the agent was kept from running for ${delayed} ms`);
    assert.equal(samples.of('kvm_vm_info', { vm }).length, 1);
    return;
  }
}

test(
  'a VM that was started before the agent has its name from the first scrape on, and its exits are counted',
  liveTest(),
  async () => {
    const guest = startGuest({ name: 'started-before', steps: [{ forever: { out: 0x80 } }] });
    while (guest.writesDone() === 0) await sleep(20);
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

test('the series of a stopped VM stay for the grace period, and are removed then', liveTest(), async () => {
  // The least time that the agent keeps them.
  const graceMs = 10_000;
  const agent = await startAgent({ args: [`--vm.grace-period=${graceMs / 1000}s`] });
  const guest = startGuest({ name: 'stops', steps: [...UNTIL_KNOWN, ...writesInAll(PORT_WRITES)] });
  await agent.scrapeUntil('the guest', (samples) => ioExits(samples, 'stops') > 0);
  const runningMs = performance.now();
  guest.goOn();
  await guest.finished();
  const exits = PORT_WRITES + 1;
  await agent.scrapeUntil('all exits', (samples) => ioExits(samples, 'stops') === exits);
  await agent.scrapeUntil('gone', (samples) => {
    const isGone = samples.all.every(({ labels }) => labels.get('vm') !== 'stops');
    assert.equal(ioExits(samples, 'stops'), isGone ? 0 : exits);
    return isGone;
  });
  const afterMs = performance.now() - runningMs;
  assert.ok(afterMs >= graceMs, `gone ${afterMs} ms after a moment at which it ran`);
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
    await waitForLog(agent, /msg=waiting err=.*modprobe kvm/);
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
