/** QEMUs that do not answer on their QMP sockets while their guests run, or that stop altogether. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { assertCountsExactly, ioExits, waitForLog } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { QmpClient } from '../../support/guest/qmp-client.js';
import { startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Two readings of the agent. */
const PATIENCE_MS = 30_000;
const NAMES = ['hangs', 'answers'] as const;

afterEach(endAll);

const statOf = (samples: Samples, vm: string) => samples.sum('kvm_stat_total', { vm, stat: 'exits' });
/** Statistics by vCPU come from QMP, those of the VM as a whole from debugfs. */
const isAnswered = (samples: Samples, vm: string) =>
  samples.sum('kvm_stat_total', { vm, vcpu: '0', stat: 'exits' }) > 0;

async function start(folder: string) {
  const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`] });
  const guests = NAMES.map((name) =>
    startGuest({
      name,
      steps: [{ forever: { out: 0x80 } }],
      extraArgs: ['-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`],
    }),
  );
  await agent.scrapeUntil('both', (now) => NAMES.every((name) => isAnswered(now, name)), PATIENCE_MS);
  const [hangs, answers] = guests;
  assert.ok(hangs !== undefined && answers !== undefined);
  return { agent, hangs, answers };
}

test(
  'a QEMU whose QMP socket another client holds delays no other VM, and nothing is counted twice',
  liveTest(),
  async (t) => {
    const folder = temporaryFolder(t, 'hanging');
    const { agent, hangs, answers } = await start(folder);
    // A QEMU talks to one client at a time: the next one connects, and gets no greeting.
    const client = await QmpClient.connect(`${folder}/hangs.sock`);
    await waitForLog(agent, /cannot ask a VM for KVM's statistics.*hangs\.sock: no greeting/);
    const before = await agent.scrape();
    await agent.scrapeUntil(
      'the other VM, twice',
      (now) => statOf(now, 'answers') > statOf(before, 'answers') && ioExits(now, 'hangs') > ioExits(before, 'hangs'),
      PATIENCE_MS,
    );
    await assertCountsExactly(agent, 'beside-a-hang');
    assert.ok(statOf(await agent.scrape(), 'hangs') >= statOf(before, 'hangs'));
    await client.execute('stop');
    const own = (await client.statistics()).vcpus.get('0')?.get('exits');
    client.close();
    await agent.scrapeUntil(
      'the socket is free again',
      (now) => statOf(now, 'hangs') > statOf(before, 'hangs'),
      60_000,
    );
    await sleep(1000);
    const shown = statOf(await agent.scrape(), 'hangs');
    assert.ok(shown <= Number(own), `${shown} exits shown, ${own} by QEMU`);
    for (const guest of [hangs, answers]) await guest.kill();
    await agent.stop();
  },
);

test(
  'a QEMU that is stopped (SIGSTOP) has no time in its guest, and is exact when it goes on',
  liveTest(),
  async (t) => {
    const folder = temporaryFolder(t, 'stopped');
    const { agent, hangs, answers } = await start(folder);
    process.kill(hangs.pid, 'SIGSTOP');
    await waitForLog(agent, /cannot ask a VM for KVM's statistics.*hangs\.sock: no (greeting|answer)/);
    const timesOf = (samples: Samples) => samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm: 'hangs', vcpu: '0' });
    const before = await agent.scrape();
    await assertCountsExactly(agent, 'beside-a-stop');
    const after = await agent.scrape();
    const [old, now] = [timesOf(before), timesOf(after)];
    const grown = Object.entries(now).map(([state, seconds]) => [state, seconds - (old[state] ?? 0)] as const);
    const unknown = grown.find(([state]) => state === 'unknown')?.[1] ?? 0;
    const sum = grown.reduce((all, [, seconds]) => all + seconds, 0);
    assert.ok(sum > 0 && unknown > 0.95 * sum, JSON.stringify(grown));
    assert.equal(ioExits(after, 'hangs'), ioExits(before, 'hangs'));
    process.kill(hangs.pid, 'SIGCONT');
    await agent.scrapeUntil('more exits', (samples) => ioExits(samples, 'hangs') > ioExits(after, 'hangs') + 1000);
    await hangs.kill();
    const writes = hangs.writesDone();
    const counted = await agent.scrapeUntil('all exits', (samples) => ioExits(samples, 'hangs') >= writes);
    assert.ok(ioExits(counted, 'hangs') <= writes + 1);
    await answers.kill();
    await agent.stop();
  },
);
