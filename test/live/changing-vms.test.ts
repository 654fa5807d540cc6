/** VMs that change while they run: paused, and with vCPUs that are plugged in and taken out. */
import assert from 'node:assert/strict';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { type GuestOptions, type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Two readings of the agent. */
const PATIENCE_MS = 30_000;
const WAYS = [{ args: [] }, { args: ['--no-collector.kernel'] }];

afterEach(endAll);

/** A guest with two QMP sockets, of which the agent has one. */
async function start(
  t: TestContext,
  args: readonly string[],
  options: GuestOptions,
): Promise<{ agent: RunningAgent; guest: RunningGuest; qmp: QmpClient }> {
  const folder = temporaryFolder(t, 'changing');
  const sockets = ['agent', 'test'].flatMap((name) => ['-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`]);
  const agent = await startAgent({ args: [...args, `--qemu.qmp=${folder}/agent.sock`] });
  const guest = startGuest({ ...options, extraArgs: [...(options.extraArgs ?? []), ...sockets] });
  await agent.scrapeUntil(
    'the guest',
    (now) => now.sum('kvm_stat_total', { vm: options.name, stat: 'exits' }) > 0,
    PATIENCE_MS,
  );
  return { agent, guest, qmp: await QmpClient.connect(`${folder}/test.sock`) };
}

const statesOf = (samples: Samples, vm: string, vcpu: string) =>
  samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm, vcpu });

interface Growth {
  readonly states: Readonly<Partial<Record<string, number>>>;
  /** Least and most time between the two moments: each is somewhere in a scrape. */
  readonly least: number;
  readonly most: number;
}

/** Growth of each state in some ten seconds. */
async function growth(agent: RunningAgent, vm: string, vcpu: string): Promise<Growth> {
  const scrape = async () => {
    const beganMs = performance.now();
    const states = statesOf(await agent.scrape(), vm, vcpu);
    return { states, beganMs, endMs: performance.now() };
  };
  const before = await scrape();
  await sleep(10_000);
  const after = await scrape();
  const states = Object.entries(after.states).map(([state, value]) => [state, value - (before.states[state] ?? 0)]);
  return {
    states: Object.fromEntries(states),
    least: (after.beganMs - before.endMs) / 1000,
    most: (after.endMs - before.beganMs) / 1000,
  };
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

for (const { args } of WAYS) {
  const how = args.length === 0 ? '' : ', without the kernel trace';
  test(`a paused VM is neither in QEMU nor idle, and its statistics stand still${how}`, liveTest(), async (t) => {
    const vm = 'paused';
    const { agent, guest, qmp } = await start(t, args, { name: vm, steps: [{ forever: { out: 0x80 } }] });
    await qmp.execute('stop');
    // What the vCPU did until then, and a wait that it was in, are counted at the next two readings.
    for (let reading = 0; reading < 2; reading++) {
      await sleep(2500);
      await agent.scrape();
    }
    assertAll(await growth(agent, vm, '0'), 'unknown');
    const exits = await qmp.statistics().then(({ vcpus }) => vcpus.get('0')?.get('exits'));
    const shown = await agent.scrapeUntil(
      'the last statistics',
      (now) => now.sum('kvm_stat_total', { vm, stat: 'exits' }) === exits,
      PATIENCE_MS,
    );
    await qmp.execute('cont');
    await agent.scrapeUntil(
      'more exits',
      (now) => now.sum('kvm_stat_total', { vm, stat: 'exits' }) > shown.sum('kvm_stat_total', { vm, stat: 'exits' }),
      PATIENCE_MS,
    );
    const running = await growth(agent, vm, '0');
    assert.ok((running.states.unknown ?? 0) < 0.05 * running.most, JSON.stringify(running));
    qmp.close();
    await guest.kill();
    await agent.stop();
  });

  test(
    `a vCPU that is plugged in, taken out and plugged in again has its time each time${how}`,
    liveTest(),
    async (t) => {
      const vm = 'plugged';
      const { agent, guest, qmp } = await start(t, args, {
        name: vm,
        steps: [{ out: 0x80, times: 100 }, { waitForHost: true }, { ejectCpu: 1 }, { forever: { out: 0x80 } }],
        extraArgs: ['-smp', '1,maxcpus=2'],
      });
      const cpus: { type: string; props: object; 'qom-path'?: string }[] = await qmp.execute('query-hotpluggable-cpus');
      const free = cpus.find((cpu) => cpu['qom-path'] === undefined);
      const plug = () => qmp.execute('device_add', { driver: free?.type, id: 'second', ...free?.props });
      const isShown = (samples: Samples) => (statesOf(samples, vm, '1').idle ?? 0) > 0;
      await plug();
      await agent.scrapeUntil('the second vCPU', isShown, PATIENCE_MS);
      // It waits for the guest to start it.
      assertAll(await growth(agent, vm, '1'), 'idle');
      guest.goOn();
      await agent.scrapeUntil('writes after the ejection', () => guest.writesDone() > 0, PATIENCE_MS);
      await sleep(3000);
      const { states } = await growth(agent, vm, '1');
      assert.ok(
        Object.values(states).every((seconds) => seconds === 0),
        JSON.stringify(states),
      );
      assert.ok(isShown(await agent.scrape()));
      await plug();
      await sleep(5000);
      assertAll(await growth(agent, vm, '1'), 'idle');
      qmp.close();
      await guest.kill();
      await agent.stop();
    },
  );
}
