/** Which ports a guest accesses, and whose they are: live. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { startAgent } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { TotalOverScrapes } from '../support/prometheus/total-over-scrapes.js';
import { needs } from '../support/requirements.js';

const LIVE = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu'), timeout: 90_000 };
const PORTS = 65_536;
const BUDGET = 20;

afterEach(endAll);

test(
  'a guest that reads every port there is gets as many series as its budget allows, and every read is counted',
  LIVE,
  async () => {
    const agent = await startAgent();
    const guest = startGuest({ name: 'sprayer', steps: [{ readEveryPort: true }] });
    // Scraped while it runs, too: then addresses lose their series to others.
    const reads = new TotalOverScrapes('kvm_io_exits_total', { vm: 'sprayer', direction: 'in' });
    const samples = await agent.scrapeUntil(
      'all reads, and the write that ends it',
      (now) => reads.add(now) >= PORTS && now.of('kvm_io_exits_total', { vm: 'sprayer', direction: 'out' }).length > 0,
    );
    await guest.finished();
    assert.equal(reads.add(samples), PORTS);
    assert.equal(samples.sum('kvm_io_exits_total', { vm: 'sprayer', direction: 'out' }), 1);
    const series = samples.of('kvm_io_exits_total', { vm: 'sprayer' });
    const others = samples.of('kvm_io_exits_total', { vm: 'sprayer', address: 'other' });
    assert.ok(series.length - others.length <= BUDGET, `${series.length - others.length} addresses`);
    // Bus, direction and layer of what is summed.
    assert.ok(others.length <= 8, `${others.length} sums`);
  },
);

test('a VM names its devices itself where it has a QMP socket for that', LIVE, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'devices-'));
  const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`] });
  const guest = startGuest({
    name: 'named',
    steps: [{ in: 0x402, times: 1000 }, { forever: { out: 0x80 } }],
    extraArgs: ['-qmp', `unix:${folder}/named.sock,server=on,wait=off`],
  });
  const stranger = startGuest({ name: 'stranger', steps: [{ forever: { out: 0x80 } }] });
  try {
    // The names are QEMU's own: hw/char/debugcon.c and hw/i386/pc.c.
    const samples = await agent.scrapeUntil(
      'names',
      (now) =>
        now.of('kvm_io_exits_total', { vm: 'named', device: 'isa-debugcon' }).length > 0 &&
        now.of('kvm_io_exits_total', { vm: 'stranger' }).length > 0,
    );
    const read = { vm: 'named', address: '0x402', direction: 'in' };
    assert.equal(samples.sum('kvm_io_exits_total', { ...read, device: 'isa-debugcon' }), 1000);
    assert.equal(samples.of('kvm_io_exits_total', read).length, 1);
    assert.equal(samples.of('kvm_io_exits_total', { vm: 'named', address: '0x80', device: 'ioport80' }).length, 1);
    assert.equal(samples.of('kvm_io_exits_total', { vm: 'stranger', address: '0x80', device: 'post_code' }).length, 1);
  } finally {
    await guest.kill();
    await stranger.kill();
    await agent.stop();
    rmSync(folder, { recursive: true });
  }
});

test('a QMP socket that is silent, of nobody or dead costs a warning and nothing else', LIVE, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'devices-'));
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => {
    silent.listen(join(folder, 'silent.sock'), resolve);
  });
  // As a QEMU that ends while it is asked: the connection is closed, and soon nobody listens.
  const leaving = createServer((client) => {
    leaving.close();
    client.destroy();
  });
  await new Promise<void>((resolve) => {
    leaving.listen(join(folder, 'leaving.sock'), resolve);
  });
  const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`, `--qemu.qmp=${folder}/missing`] });
  const guest = startGuest({ name: 'unasked', steps: [{ out: 0x80, times: 100_000 }] });
  try {
    await guest.finished();
    await agent.scrapeUntil(
      'its exits',
      (now) => now.sum('kvm_exits_total', { vm: 'unasked', layer: 'qemu', reason: 'KVM_EXIT_IO' }) === 100_001,
    );
    const deadline = performance.now() + 20_000;
    const saidBoth = () => ['silent.sock: no greeting', 'missing'].every((words) => agent.log().includes(words));
    while (!saidBoth()) {
      assert.ok(performance.now() < deadline, agent.log());
      await agent.scrape();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // It was asked before these.
    assert.ok(!existsSync(join(folder, 'leaving.sock')));
    assert.doesNotMatch(agent.log(), /leaving/);
  } finally {
    await agent.stop();
    silent.close();
    rmSync(folder, { recursive: true });
  }
});
