/** VMs start and stop while the agent runs; the agent stops, crashes and starts again. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import {
  assertCountsExactly,
  ioExits,
  PORT_WRITES,
  runKnownGuest,
  waitForLog,
  writesInAll,
} from '../support/guest/agent-checks.js';
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

/** An agent that waits longer for a CPU while a VM runs may see it too late. */
const MAX_WAIT_MS = 10;
const MAX_TRIES = 10;

/**
 * The same for a guest whose vCPU runs for `ms` on any machine: its timer starts a burst of 100 port writes every 10
 * ms. Another one is run if the agent had to wait for a CPU meanwhile.
 */
async function runCountedFor(agent: RunningAgent, name: string, ms: number): Promise<void> {
  const bursts = { out: 0x80, times: 100, everyMs: 10, ticks: ms / 10 };
  const exits = bursts.times * bursts.ticks + 1;
  for (let tries = 1; ; tries++) {
    const vm = `${name}-${tries}`;
    const counts = (now: Samples) => [ioExits(now, vm), ioExits(now, '')] as const;
    const [, before] = counts(await agent.scrape());
    const waitedBefore = waitedMs(agent);
    await startGuest({ name: vm, steps: [{ bursts }] }).finished();
    const waited = waitedMs(agent) - waitedBefore;
    const samples = await agent.scrapeUntil(`${vm}: ${exits}`, (now) => {
      const [named, unnamed] = counts(now);
      return named + unnamed - before >= exits;
    });
    if (ioExits(samples, vm) !== exits && waited > MAX_WAIT_MS && tries < MAX_TRIES) continue;
    assert.equal(ioExits(samples, vm), exits, `the agent waited for ${waited} ms`);
    assert.equal(samples.of('kvm_vm_info', { vm }).length, 1);
    return;
  }
}

/** Milliseconds in which the agent was ready to run while other programs had the CPUs, by the kernel. */
function waitedMs({ process: { pid } }: RunningAgent): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
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

test('the series of a stopped VM are removed after the grace period', liveTest(), async (t) => {
  const graceMs = 6000;
  const agent = await startAgent({ args: [`--vm.grace-period=${graceMs / 1000}s`] });
  await runKnownGuest(agent, { name: 'stops', steps: writesInAll(PORT_WRITES) });
  const endMs = performance.now();
  await sleep(1500);
  const samples = await agent.scrape();
  if (performance.now() - endMs < graceMs) assert.equal(ioExits(samples, 'stops'), PORT_WRITES + 1);
  else t.diagnostic('this machine took as long as the grace period to get there');
  await agent.scrapeUntil('gone', ({ all }) => all.every(({ labels }) => labels.get('vm') !== 'stops'));
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
