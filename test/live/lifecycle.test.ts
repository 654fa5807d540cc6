/** VMs come and go; the agent comes, goes and crashes. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, TRACEFS, tracingInstances, uniqueInstance } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, PORT_WRITES } from '../support/guest/agent-checks.js';
import type { Step } from '../support/guest/firmware.js';
import { startGuest } from '../support/guest/start-guest.js';
import { needs, type Requirement } from '../support/requirements.js';

const live = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  timeout: 60_000,
});

afterEach(endAll);

/** Runs a guest of so many `out` and waits until they are counted: no more, no less. */
function runCounted(agent: RunningAgent, name: string, times: number): Promise<void> {
  return runSteps(agent, name, times, [{ out: 0x80, times }]);
}

/** The same for a guest that lives so long on any machine: a burst of 100 at each 10 ms of its timer. */
function runCountedFor(agent: RunningAgent, name: string, ms: number): Promise<void> {
  const bursts = { out: 0x80, times: 100, everyMs: 10, ticks: ms / 10 };
  return runSteps(agent, name, bursts.times * bursts.ticks, [{ bursts }]);
}

async function runSteps(agent: RunningAgent, name: string, times: number, steps: readonly Step[]): Promise<void> {
  await startGuest({ name, steps }).finished();
  const samples = await agent.scrapeUntil(`${name}: ${times}`, (now) => ioExits(now, name) === times + 1);
  assert.equal(samples.of('kvm_vm_info', { vm: name }).length, 1);
}

test('counters of a VM that starts again under its name start anew', live(), async () => {
  const agent = await startAgent();
  await runCounted(agent, 'again', 60_000);
  await runCounted(agent, 'again', PORT_WRITES);
  await agent.stop();
});

test('a VM that runs already has its name from the first scrape on, and a vCPU that exits', live(), async () => {
  const guest = startGuest({ name: 'was-there', steps: [{ forever: { out: 0x80 } }] });
  await sleep(1000);
  const agent = await startAgent();
  assert.equal((await agent.scrape()).of('kvm_vm_info', { vm: 'was-there' }).length, 1);
  const first = ioExits(await agent.scrapeUntil('exits', (now) => ioExits(now, 'was-there') > 0), 'was-there');
  await agent.scrapeUntil('more exits', (now) => ioExits(now, 'was-there') > first);
  assert.equal(ioExits(await agent.scrape(), ''), 0);
  await guest.kill();
  await agent.stop();
});

test('series of a stopped VM stay for the grace period, then they go', live(), async () => {
  const agent = await startAgent({ args: ['--vm.grace-period=6s'] });
  await runCounted(agent, 'stops', PORT_WRITES);
  await sleep(1500);
  assert.equal(ioExits(await agent.scrape(), 'stops'), PORT_WRITES + 1);
  await agent.scrapeUntil('gone', ({ all }) => all.every(({ labels }) => labels.get('vm') !== 'stops'), 20_000);
  // Its events do not turn up under another name.
  assert.equal(ioExits(await agent.scrape(), ''), 0);
  await agent.stop();
});

test('a VM whose vCPU runs for 200 ms only is known by its name', live(), async () => {
  const agent = await startAgent();
  await sleep(1500);
  await runCountedFor(agent, 'short', 200);
  await agent.stop();
});

test('a VM whose vCPU runs for 50 ms only too, as KVM tells of it', live('kvm-debugfs'), async () => {
  const agent = await startAgent();
  await sleep(1500);
  for (const name of ['shorter-a', 'shorter-b', 'shorter-c']) await runCountedFor(agent, name, 50);
  await agent.stop();
});

test('where KVM can tell nobody, new processes are looked for', live('kvm-debugfs', 'unshare'), async () => {
  const withoutDebugfs = ['unshare', '--mount', 'sh', '-c', 'umount /sys/kernel/debug && exec "$@"', '-'];
  const agent = await startAgent({ prefix: withoutDebugfs });
  await sleep(1500);
  await runCountedFor(agent, 'looked-for', 200);
  await agent.stop();
});

test('what kill -9 left behind is taken over, and goes with the next clean end', live(), async () => {
  const instance = uniqueInstance();
  const killed = await startAgent({ instance });
  await runCounted(killed, 'before-kill', PORT_WRITES);
  await killed.kill();
  assert.ok(tracingInstances().includes(instance));
  const agent = await startAgent({ instance });
  await runCounted(agent, 'after-kill', PORT_WRITES);
  await agent.stop();
});

test('events that somebody switches off are noticed, said and switched on again', live(), async () => {
  const agent = await startAgent();
  await runCounted(agent, 'before-off', PORT_WRITES);
  writeFileSync(join(TRACEFS, 'instances', agent.instance, 'events/enable'), '0');
  for (let waits = 0; !/level=warn msg=waiting/.test(agent.log()); waits++) {
    assert.ok(waits < 100, agent.log());
    await sleep(100);
  }
  await agent.scrapeUntil('source up', (now) => now.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }) === 1);
  await runCounted(agent, 'after-on', PORT_WRITES);
  assert.equal(ioExits(await agent.scrape(), 'before-off'), PORT_WRITES + 1);
  await agent.stop();
});

test('a host without the kvm module is waited for: said once, and by source_up', needs('root', 'tracefs'), async () => {
  const tracefs = mkdtempSync(join(tmpdir(), 'tracefs-'));
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
  rmSync(tracefs, { recursive: true });
});
