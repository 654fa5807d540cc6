/** The I/O ports that a live guest accesses, and the devices that they belong to. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { assertCountsExactly, waitForLog } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';
import { TotalOverScrapes } from '../support/prometheus/total-over-scrapes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const PORTS = 65_536;
/** Series of addresses that a VM may have by default. */
const ADDRESS_BUDGET = 20;

afterEach(endAll);

test(
  'a guest that reads every port gets no more series than its budget, and every read is counted',
  liveTest(),
  async () => {
    const agent = await startAgent();
    const guest = startGuest({ name: 'all-ports', steps: [{ readEveryPort: true }, { waitForHost: true }] });
    // The scrapes while the guest runs show addresses that lose their series to busier ones.
    const reads = new TotalOverScrapes('kvm_io_exits_total', { vm: 'all-ports', direction: 'in' });
    await agent.scrapeUntil('all reads', (now) => reads.add(now) >= PORTS);
    guest.goOn();
    await guest.finished();
    const samples = await agent.scrapeUntil(
      'the write that ends the guest',
      (now) => reads.add(now) >= PORTS && now.sum('kvm_io_exits_total', { vm: 'all-ports', direction: 'out' }) > 0,
    );
    assert.equal(reads.add(samples), PORTS);
    assert.equal(samples.sum('kvm_io_exits_total', { vm: 'all-ports', direction: 'out' }), 1);
    const series = samples.of('kvm_io_exits_total', { vm: 'all-ports' });
    const summed = samples.of('kvm_io_exits_total', { vm: 'all-ports', address: 'other' });
    assert.ok(series.length - summed.length <= ADDRESS_BUDGET, `${series.length - summed.length} addresses`);
    // At most one sum for each combination of bus, direction and layer.
    assert.ok(summed.length <= 8, `${summed.length} sums`);
  },
);

test('a VM with a QMP socket names its devices itself', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'devices');
  const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`] });
  const guest = startGuest({
    name: 'named',
    steps: [{ in: 0x402, times: 1000 }, { forever: { out: 0x80 } }],
    extraArgs: ['-qmp', `unix:${folder}/named.sock,server=on,wait=off`],
  });
  const withoutQmp = startGuest({ name: 'without-qmp', steps: [{ forever: { out: 0x80 } }] });
  try {
    // QEMU's own names of these devices, from hw/char/debugcon.c and hw/i386/pc.c.
    const samples = await agent.scrapeUntil(
      'names',
      (now) =>
        now.of('kvm_io_exits_total', { vm: 'named', device: 'isa-debugcon' }).length > 0 &&
        now.of('kvm_io_exits_total', { vm: 'without-qmp' }).length > 0,
    );
    const read = { vm: 'named', address: '0x402', direction: 'in' };
    assert.equal(samples.sum('kvm_io_exits_total', { ...read, device: 'isa-debugcon' }), 1000);
    assert.equal(samples.of('kvm_io_exits_total', read).length, 1);
    assert.equal(samples.of('kvm_io_exits_total', { vm: 'named', address: '0x80', device: 'ioport80' }).length, 1);
    assert.equal(
      samples.of('kvm_io_exits_total', { vm: 'without-qmp', address: '0x80', device: 'post_code' }).length,
      1,
    );
  } finally {
    await guest.kill();
    await withoutQmp.kill();
    await agent.stop();
  }
});

test(
  'a QMP socket that no VM serves is not asked; it and a missing one cause a warning at most',
  liveTest(),
  async (t) => {
    const folder = temporaryFolder(t, 'devices');
    let connections = 0;
    const stranger = createServer(() => connections++);
    await new Promise<void>((resolve) => {
      stranger.listen(join(folder, 'stranger.sock'), resolve);
    });
    const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`, `--qemu.qmp=${folder}/missing`] });
    try {
      await assertCountsExactly(agent, 'unasked', 100_000);
      await waitForLog(agent, 'stranger.sock: no process of a known VM serves it');
      await waitForLog(agent, 'missing');
      assert.equal(connections, 0);
    } finally {
      await agent.stop();
      stranger.close();
    }
  },
);
