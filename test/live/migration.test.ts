/** A VM that migrates within this host, and VMs whose names change hands: no exit is lost, and none is mixed up. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ioExits, PORT_WRITES, runKnownGuest, writesInAll } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

const UUID = '0e44be5a-ff12-52fb-9413-07b52f3593c3';
const OTHER_UUID = '1e44be5a-ff12-52fb-9413-07b52f3593c3';
/** The write that ends a guest after its port writes. */
const END = 1;

/** The names under which port I/O was counted, of those that begin with one of these. */
function namesLike(samples: Samples, ...begins: string[]): string[] {
  const all = samples
    .of('kvm_exits_total', { layer: 'qemu', reason: 'KVM_EXIT_IO' })
    .map(({ labels }) => labels.get('vm') ?? '');
  return [...new Set(all)].filter((name) => begins.some((begin) => name.startsWith(begin))).sort();
}

async function connect(path: string): Promise<QmpClient> {
  for (const deadlineMs = performance.now() + 60_000; ; await sleep(20)) {
    try {
      return await QmpClient.connect(path);
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
}

/** Moves a running guest to a second QEMU, as `virsh migrate` does; returns once the second one runs it. */
async function migrate(from: QmpClient, to: QmpClient, socket: string): Promise<void> {
  await from.execute('migrate', { uri: `unix:${socket}` });
  for (;;) {
    const { status } = await from.execute('query-migrate');
    if (status === 'completed') break;
    assert.notEqual(status, 'failed');
    await sleep(20);
  }
  while (!(await to.execute('query-status')).running) await sleep(20);
}

test('a VM that migrates to another process of this host, twice, is one series to the exit', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'migration');
  const agent = await startAgent();
  const startMs = performance.now();
  let moves = 0;
  const start = async (incoming?: string): Promise<{ guest: RunningGuest; qmp: QmpClient }> => {
    const control = join(folder, `control-${moves++}`);
    const guest = startGuest({
      name: 'moving',
      uuid: UUID,
      steps: [{ forever: { out: 0x80 } }],
      extraArgs: ['-qmp', `unix:${control},server=on,wait=off`, ...(incoming ? ['-incoming', `unix:${incoming}`] : [])],
    });
    return { guest, qmp: await connect(control) };
  };
  let { guest, qmp } = await start();
  await agent.scrapeUntil('the guest runs', (samples) => ioExits(samples, 'moving') > 1000);
  /** Seconds of the vCPU in states other than `unknown`: both processes count while the VM moves, and one waits. */
  const spentIn = (samples: Samples) => {
    const { unknown: _, ...states } = samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm: 'moving' });
    return Object.values(states).reduce((sum, time) => sum + time, 0);
  };
  for (let move = 0; move < 2; move++) {
    // Its time is known from its second reading on.
    const before = spentIn(await agent.scrape());
    await agent.scrapeUntil('more of its time', (samples) => spentIn(samples) > before);
    const socket = join(folder, `incoming-${move}`);
    const next = await start(socket);
    await migrate(qmp, next.qmp, socket);
    qmp.close();
    await guest.kill();
    ({ guest, qmp } = next);
    const writes = guest.writesDone();
    await agent.scrapeUntil('the guest goes on', (samples) => ioExits(samples, 'moving') > writes + 1000);
  }
  qmp.close();
  await guest.kill();
  const writes = guest.writesDone();
  await agent.scrapeUntil('all exits', (samples) => ioExits(samples, 'moving') >= writes);
  await sleep(1000);
  const samples = await agent.scrape();
  const counted = ioExits(samples, 'moving');
  // The write that was under way when the guest was killed has left it, and may not have been counted by the guest.
  assert.ok(counted === writes || counted === writes + 1, `${counted} counted, ${writes} done`);
  assert.deepEqual(namesLike(samples, 'moving'), ['moving']);
  const [spent, seconds] = [spentIn(samples), (performance.now() - startMs) / 1000];
  assert.ok(spent < seconds, `${spent} s in ${seconds} s`);
  await agent.stop();
});

test("VMs that take each other's name, one after the other, lose and mix nothing", liveTest(), async () => {
  const agent = await startAgent();
  const lives = [
    { name: 'first', uuid: UUID, times: PORT_WRITES },
    { name: 'second', uuid: OTHER_UUID, times: PORT_WRITES + 1000 },
    { name: 'first', uuid: OTHER_UUID, times: PORT_WRITES + 2000 },
    { name: 'second', uuid: UUID, times: PORT_WRITES + 3000 },
  ];
  for (const { name, uuid, times } of lives) await runKnownGuest(agent, { name, uuid, steps: writesInAll(times) });
  const expected = { first: 2 * (PORT_WRITES + END) + 2000, second: 2 * (PORT_WRITES + END) + 4000 };
  const counts = (samples: Samples) => ({ first: ioExits(samples, 'first'), second: ioExits(samples, 'second') });
  await agent.scrapeUntil(
    'all exits',
    (samples) => counts(samples).first + counts(samples).second >= expected.first + expected.second,
  );
  await sleep(1000);
  const samples = await agent.scrape();
  assert.deepEqual(counts(samples), expected);
  assert.deepEqual(namesLike(samples, 'first', 'second'), ['first', 'second']);
  await agent.stop();
});
