/**
 * KVM's own statistics of real VMs: as the agent shows them against QEMU's own answers, asked by a client of this test.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { startGuest } from '../support/guest/start-guest.js';
import { HANG_MS } from '../support/patience.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Two readings of the agent. */
const PATIENCE_MS = 25_000;
const OTHER_USER = 65534;

afterEach(endAll);

test('over QMP, every statistic of a VM equals what QEMU answers, without tracing', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'stats');
  const socket = `${folder}/stats.sock`;
  const guest = startGuest({
    name: 'stats',
    vcpus: 2,
    // Bursts so short that the vCPU waits for most of the time, on a slow machine too.
    steps: [{ bursts: { out: 0x80, times: 10, everyMs: 5 } }],
    secondarySteps: [{ out: 0x80, times: 1_000_000_000 }],
    extraArgs: ['-qmp', `unix:${socket},server=on,wait=off`],
  });
  const args = ['--no-collector.kernel', '--collector.kvm-stats.all', `--qemu.qmp=${folder}/*.sock`];
  const agent = await startAgent({ args });
  await agent.scrapeUntil(
    'statistics',
    (now) => now.sum('kvm_stat_total', { vm: 'stats', stat: 'exits' }) > 0,
    PATIENCE_MS,
  );
  const qemu = await QmpClient.connect(socket);
  // A VM that stands still has statistics that stand still.
  await qemu.execute('stop');
  const { vcpus, vm } = await qemu.statistics();
  qemu.close();
  const samples = await agent.scrapeUntil(
    'the last statistics',
    (now) => now.sum('kvm_stat_total', { vm: 'stats', stat: 'exits' }) === sumOf(vcpus, 'exits'),
    PATIENCE_MS,
  );
  for (const [vcpu, values] of [...vcpus, ['', vm] as const])
    for (const [stat, value] of values) {
      const labels = { vm: 'stats', vcpu, stat };
      if (typeof value !== 'number') continue;
      const shown = samples.sum('kvm_stat_total', labels) + samples.sum('kvm_stat_current', labels);
      const seconds = samples.sum('kvm_stat_seconds_total', labels);
      assert.ok(shown === value || Math.abs(seconds - value * 1e-9) < 1e-9, `vCPU ${vcpu} ${stat}: ${shown} ${value}`);
    }
  // QEMU lists the counters from the highest values down; see src/decode/statistics/mirrored-histograms.ts.
  const waits = { vm: 'stats', stat: 'halt_wait' };
  const counters = [...vcpus.values()].map((values) => values.get('halt_wait_hist'));
  const count = counters.flat().reduce<number>((sum, counter) => sum + (typeof counter === 'number' ? counter : 0), 0);
  assert.equal(samples.sum('kvm_stat_duration_seconds_count', waits), count);
  const average = samples.sum('kvm_stat_duration_seconds_sum', waits) / count;
  const below = samples.sum('kvm_stat_duration_seconds_bucket', { ...waits, le: '6.5536e-05' });
  assert.ok(average > 1e-3 && below < count / 10, `${count} waits of ${average} s, ${below} below 66 us`);
  await guest.kill();
  await agent.stop();
});

function sumOf(parts: ReadonlyMap<string, ReadonlyMap<string, unknown>>, stat: string): number {
  return [...parts.values()].reduce((sum, values) => sum + Number(values.get(stat)), 0);
}

test('without tracing, the page has the exits and halts that KVM counts, and times', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'stats');
  const sockets = ['agent', 'test'].flatMap((name) => ['-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`]);
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.qmp=${folder}/agent.sock`] });
  const steps = [{ bursts: { out: 0x80, times: 100, everyMs: 5 } }];
  const guest = startGuest({ name: 'untraced', steps, extraArgs: sockets });
  await agent.scrapeUntil(
    'statistics',
    (now) => now.sum('kvm_stat_total', { vm: 'untraced', stat: 'exits' }) > 0,
    PATIENCE_MS,
  );
  const qemu = await QmpClient.connect(`${folder}/test.sock`);
  const counted: { readonly atMs: number; readonly exits: number; readonly halts: number }[] = [];
  let row: PageRow | undefined;
  let ioExits = Number.NaN;
  // A rate is that between two readings of the agent, ten seconds apart.
  for (const endMs = performance.now() + 2 * PATIENCE_MS; performance.now() < endMs; await sleep(2000)) {
    const { vcpus } = await qemu.statistics();
    ioExits = sumOf(vcpus, 'io_exits');
    counted.push({ atMs: performance.now(), exits: sumOf(vcpus, 'exits'), halts: sumOf(vcpus, 'halt_exits') });
    const { vms } = (await (await fetch(new URL('/api/vms', agent.url))).json()) as {
      readonly vms: readonly PageRow[];
    };
    row = vms.find(
      (each) => each.vm === 'untraced' && each.kvm_exits_per_second !== null && each.time_shares.idle !== null,
    );
    if (row !== undefined && counted.length > 8) break;
  }
  qemu.close();
  for (const [shown, stat] of [
    [row?.kvm_exits_per_second, 'exits'],
    [row?.halts_per_second, 'halts'],
  ] as const) {
    const rates = counted.slice(1).map((now, index) => {
      const before = counted[index] as typeof now;
      return ((now[stat] - before[stat]) / (now.atMs - before.atMs)) * 1000;
    });
    const range = `${stat}: ${shown} a second is not from ${Math.min(...rates)} to ${Math.max(...rates)}`;
    assert.ok(typeof shown === 'number' && shown > 0.9 * Math.min(...rates) && shown < 1.1 * Math.max(...rates), range);
  }
  assert.equal(row?.io_exits_per_second === null, ioExits === 0, 'a statistic that KVM does not keep is unknown');
  assert.deepEqual([row?.qemu_exits_per_second, row?.top_reason, row?.top_device], [null, null, null]);
  const shares = Object.values(row?.time_shares ?? {}).reduce<number>((sum, share) => sum + (share ?? 0), 0);
  // The times are read a moment before the period ends at most. No vCPU has more time than there is.
  assert.ok(shares > 0.9 && shares < 1 + 1e-9, JSON.stringify(row?.time_shares));
  assert.ok((row?.time_shares.idle ?? 0) > 0, JSON.stringify(row?.time_shares));
  await guest.kill();
  await agent.stop();
});

/** The fields of a row of `/api/vms` that are compared. */
interface PageRow {
  readonly vm: string;
  readonly kvm_exits_per_second: number | null;
  readonly qemu_exits_per_second: number | null;
  readonly io_exits_per_second: number | null;
  readonly halts_per_second: number | null;
  readonly top_reason: object | null;
  readonly top_device: object | null;
  readonly time_shares: Readonly<Record<string, number | null>>;
}

test(
  'a user without rights sees the statistics of VMs whose QMP sockets it may open',
  liveTest('setpriv'),
  async (t) => {
    const folder = temporaryFolder(t, 'stats');
    chmodSync(folder, 0o755);
    const socket = `${folder}/open.sock`;
    const guest = startGuest({
      name: 'open',
      steps: [{ bursts: { out: 0x80, times: 100, everyMs: 5 } }],
      extraArgs: ['-qmp', `unix:${socket},server=on,wait=off`],
    });
    for (const endMs = performance.now() + HANG_MS; !existsSync(socket); await sleep(50))
      assert.ok(performance.now() < endMs, guest.lastWords());
    chmodSync(socket, 0o666);
    const agent = await startAgent({
      args: ['--no-collector.kernel', `--qemu.qmp=${socket}`],
      prefix: ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups'],
    });
    const vcpu = { vm: 'open', vcpu: '0' };
    const samples = await agent.scrapeUntil(
      'statistics and times',
      (now) => now.sum('kvm_stat_total', { ...vcpu, stat: 'exits' }) > 0 && now.sum('kvm_vcpu_seconds_total', vcpu) > 2,
      PATIENCE_MS,
    );
    assert.ok(samples.sum('kvm_stat_total', { ...vcpu, stat: 'halt_exits' }) > 0);
    await guest.kill();
    await agent.stop();
  },
);

test('a VM that is restarted under its name continues its statistics', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'stats');
  const agent = await startAgent({ args: [`--qemu.qmp=${folder}/*.sock`] });
  const labels = { vm: 'again', stat: 'exits' };
  const start = (socket: string) =>
    startGuest({
      name: 'again',
      steps: [{ forever: { out: 0x80 } }],
      extraArgs: ['-qmp', `unix:${folder}/${socket},server=on,wait=off`],
    });
  const first = start('one.sock');
  const before = await agent.scrapeUntil('first life', (now) => now.sum('kvm_stat_total', labels) > 0, PATIENCE_MS);
  await first.kill();
  const second = start('two.sock');
  const ofFirst = before.sum('kvm_stat_total', labels);
  const after = await agent.scrapeUntil(
    'second life',
    (now) => now.sum('kvm_stat_total', labels) > ofFirst,
    PATIENCE_MS,
  );
  assert.equal(after.of('kvm_stat_total', labels).length, 1);
  await second.kill();
  await agent.stop();
});
