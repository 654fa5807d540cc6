/**
 * VMs that change while they run: paused, and with vCPUs that are plugged in and taken out. Two agents watch each of
 * them, with and without the kernel trace.
 */
import assert from 'node:assert/strict';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest, numberFromEnvironment } from '../support/guest/live-test.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { type GuestOptions, type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Two readings of the agent. */
const PATIENCE_MS = 30_000;
/** Longer than the pause between two readings. */
const MAX_READING_MS = 5000;
const WAYS = [[], ['--no-collector.kernel']];
const COMMON = ['--advice.lasting=5s'];
const PAUSED_SECONDS = numberFromEnvironment('FAULTS_PAUSED_SECONDS', 10);

afterEach(endAll);

interface Watched {
  readonly agents: readonly RunningAgent[];
  readonly guest: RunningGuest;
  readonly qmp: QmpClient;
  /** Has each agent do something at the same time. */
  each<T>(action: (agent: RunningAgent) => Promise<T>): Promise<T[]>;
  end(): Promise<void>;
}

/** A guest with a QMP socket for each agent, and one for the test. */
async function start(t: TestContext, options: GuestOptions): Promise<Watched> {
  const folder = temporaryFolder(t, 'changing');
  const sockets = ['0', '1', 'test'].flatMap((name) => ['-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`]);
  const agents = await Promise.all(
    WAYS.map((args, index) => startAgent({ args: [...args, ...COMMON, `--qemu.qmp=${folder}/${index}.sock`] })),
  );
  const guest = startGuest({ ...options, extraArgs: [...(options.extraArgs ?? []), ...sockets] });
  const each: Watched['each'] = (action) => Promise.all(agents.map(action));
  const isShown = (now: Samples) => now.sum('kvm_stat_total', { vm: options.name, stat: 'exits' }) > 0;
  await each((agent) => agent.scrapeUntil('the guest', isShown, PATIENCE_MS));
  const qmp = await QmpClient.connect(`${folder}/test.sock`);
  return {
    agents,
    guest,
    qmp,
    each,
    async end() {
      qmp.close();
      await guest.kill();
      await each((agent) => agent.stop());
    },
  };
}

const SERIAL_PORT = 0x3f8;

const statesOf = (samples: Samples, vm: string, vcpu: string) =>
  samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm, vcpu });

interface Growth {
  readonly states: Readonly<Partial<Record<string, number>>>;
  /** Least and most time between the two moments: each is somewhere in a scrape. */
  readonly least: number;
  readonly most: number;
}

interface Reading {
  readonly states: Record<string, number>;
  /** The agent read the times of the vCPU between these two moments. */
  readonly beganMs: number;
  readonly endMs: number;
}

/**
 * Scrapes until the agent has read the times once more: on a host with many vCPUs, it answers from its last reading for
 * a while. A vCPU that is gone has the same times in every reading.
 */
async function freshReading(agent: RunningAgent, vm: string, vcpu: string): Promise<Reading> {
  const scrape = async () => {
    const beganMs = performance.now();
    const states = statesOf(await agent.scrape(), vm, vcpu);
    return {
      states,
      beganMs,
      endMs: performance.now(),
      sum: Object.values(states).reduce((sum, time) => sum + time, 0),
    };
  };
  let last = await scrape();
  for (const deadlineMs = performance.now() + MAX_READING_MS; performance.now() < deadlineMs; await sleep(20)) {
    const next = await scrape();
    if (next.sum !== last.sum) return { ...next, beganMs: last.beganMs };
    last = next;
  }
  return last;
}

/** Growth of each state in ten seconds and more. */
async function growth(agent: RunningAgent, vm: string, vcpu: string, forSeconds = 10): Promise<Growth> {
  const before = await freshReading(agent, vm, vcpu);
  await sleep(forSeconds * 1000);
  const after = await freshReading(agent, vm, vcpu);
  const states = Object.entries(after.states).map(([state, value]) => [state, value - (before.states[state] ?? 0)]);
  return {
    states: Object.fromEntries(states),
    least: (after.beganMs - before.endMs) / 1000,
    most: (after.endMs - before.beganMs) / 1000,
  };
}

/** Plugs in the vCPU that the VM has room for. */
async function plugIn(qmp: QmpClient): Promise<void> {
  const cpus: { type: string; props: object; 'qom-path'?: string }[] = await qmp.execute('query-hotpluggable-cpus');
  const free = cpus.find((cpu) => cpu['qom-path'] === undefined);
  await qmp.execute('device_add', { driver: free?.type, id: 'second', ...free?.props });
}

/** Nearly all of the time is in one state. */
function assertAll({ states, least, most }: Growth, state: string): void {
  const { [state]: seconds = 0, ...rest } = states;
  const text = `${JSON.stringify(states)} in ${least} to ${most} s`;
  assert.ok(seconds > 0.95 * least && seconds < 1.05 * most, text);
  assert.ok(
    Object.values(rest).every((time = 0) => time < 0.05 * most),
    text,
  );
}

test('a paused VM is nowhere: no time in QEMU or idle, no exits, no finding', liveTest(), async (t) => {
  const vm = 'paused';
  const { agents, qmp, each, end } = await start(t, { name: vm, steps: [{ forever: { out: SERIAL_PORT } }] });
  const findings = (now: Samples) => now.of('kvm_vm_advice', { vm }).map(({ labels }) => labels.get('advice'));
  await agents[0]?.scrapeUntil('a finding', (now) => findings(now).includes('serial-console'), PATIENCE_MS);
  await qmp.execute('stop');
  // What the vCPU did until then, and a wait that it was in, are counted at the next two readings.
  for (let reading = 0; reading < 2; reading++) {
    await sleep(2500);
    await each((agent) => agent.scrape());
  }
  for (const grown of await each((agent) => growth(agent, vm, '0', PAUSED_SECONDS))) assertAll(grown, 'unknown');
  for (const now of await each((agent) => agent.scrape())) assert.deepEqual(findings(now), []);
  const exitsIn = (now: Samples) => now.sum('kvm_stat_total', { vm, stat: 'exits' });
  const exits = Number(await qmp.statistics().then(({ vcpus }) => vcpus.get('0')?.get('exits')));
  await each((agent) => agent.scrapeUntil('the last statistics', (now) => exitsIn(now) === exits, PATIENCE_MS));
  await qmp.execute('cont');
  await each((agent) => agent.scrapeUntil('more exits', (now) => exitsIn(now) > exits, PATIENCE_MS));
  for (const running of await each((agent) => growth(agent, vm, '0')))
    assert.ok((running.states.unknown ?? 0) < 0.05 * running.most, JSON.stringify(running));
  await end();
});

test('exits of a vCPU that is plugged in while the agent counts are counted as its own', liveTest(), async (t) => {
  const vm = 'grown';
  const { agents, guest, qmp, end } = await start(t, {
    name: vm,
    steps: [{ waitForHost: true }, { startSecondary: true }, { out: 0x80, times: 20_000 }],
    secondarySteps: [{ out: 0x80, times: 30_000 }],
    pluggable: 1,
  });
  await plugIn(qmp);
  await agents[0]?.scrapeUntil('the new vCPU', (now) => now.sum('kvm_vm_vcpus', { vm }) === 2, PATIENCE_MS);
  guest.goOn();
  await guest.finished();
  const exits = (now: Samples) => now.sumBy('vcpu', 'kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });
  const isAll = (now: Samples) => Object.values(exits(now)).reduce((sum, count) => sum + count, 0) >= 50_001;
  const samples = await agents[0]?.scrapeUntil('all exits', isAll, PATIENCE_MS);
  // The last one of the first vCPU ends the guest.
  assert.deepEqual(samples && exits(samples), { 0: 20_001, 1: 30_000 });
  await end();
});

test('a vCPU that is plugged in, taken out and plugged in again has its time each time', liveTest(), async (t) => {
  const vm = 'plugged';
  const { guest, qmp, each, end } = await start(t, {
    name: vm,
    steps: [{ out: 0x80, times: 100 }, { waitForHost: true }, { ejectCpu: 1 }, { forever: { out: 0x80 } }],
    extraArgs: ['-smp', '1,maxcpus=2'],
  });
  const isShown = (samples: Samples) => (statesOf(samples, vm, '1').idle ?? 0) > 0;
  const assertIdle = async () => {
    for (const grown of await each((agent) => growth(agent, vm, '1'))) assertAll(grown, 'idle');
  };
  await plugIn(qmp);
  await each((agent) => agent.scrapeUntil('the second vCPU', isShown, PATIENCE_MS));
  // It waits for the guest to start it.
  await assertIdle();
  guest.goOn();
  await each((agent) => agent.scrapeUntil('writes after the ejection', () => guest.writesDone() > 0, PATIENCE_MS));
  await sleep(3000);
  for (const { states } of await each((agent) => growth(agent, vm, '1')))
    assert.ok(
      Object.values(states).every((seconds) => seconds === 0),
      JSON.stringify(states),
    );
  for (const samples of await each((agent) => agent.scrape())) assert.ok(isShown(samples));
  const idle = (samples: Samples) => statesOf(samples, vm, '1').idle ?? 0;
  const ejected = new Map(await each(async (agent) => [agent, idle(await agent.scrape())] as const));
  await plugIn(qmp);
  await each((agent) =>
    agent.scrapeUntil('the second vCPU again', (now) => idle(now) > (ejected.get(agent) ?? 0) + 1, PATIENCE_MS),
  );
  await assertIdle();
  await end();
});
