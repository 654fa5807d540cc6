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
    steps: [{ bursts: { out: 0x80, times: 100, everyMs: 5 } }],
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
    for (let tries = 0; tries < 600 && !existsSync(socket); tries++) await sleep(50);
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
