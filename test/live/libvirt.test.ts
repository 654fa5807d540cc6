/**
 * A domain of a real libvirtd, whose QMP socket libvirt holds: its name, uuid and statistics. Needs a libvirtd that may
 * use /dev/kvm (`libvirtd -d; virtlogd -d; chgrp kvm /dev/kvm; chmod 660 /dev/kvm`).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { guestFirmware } from '../support/guest/firmware.js';
import { skipUnless } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const SYSTEM = ['-c', 'qemu:///system'];
const virsh = (...args: readonly string[]) => spawnSync('virsh', [...SYSTEM, ...args], { encoding: 'utf8' });
const LIBVIRT = { ...skipUnless('libvirtd', virsh('list').status === 0), timeout: 300_000 };
const NAME = `audited-${process.pid}`;
const UUID = '11111111-2222-3333-4444-555555555577';
/** Two readings of the agent. */
const PATIENCE_MS = 40_000;

afterEach(endAll);

function domain(rom: string): string {
  return `<domain type='kvm'><name>${NAME}</name><uuid>${UUID}</uuid><memory unit='MiB'>16</memory><vcpu>2</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type><loader type='rom'>${rom}</loader></os>
    <devices><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>`;
}

test('a domain has its name, its uuid, and the statistics that libvirt shows', LIBVIRT, async (t) => {
  const folder = temporaryFolder(t, 'libvirt');
  const [rom, xml] = [join(folder, 'guest.rom'), join(folder, 'domain.xml')];
  const steps = [{ bursts: { out: 0x80, times: 100, everyMs: 5 } }];
  writeFileSync(rom, guestFirmware({ steps, secondary: { cpus: 1, steps: [{ out: 0x80, times: 1e9 }] } }));
  writeFileSync(xml, domain(rom));
  chmodSync(folder, 0o755);
  const created = virsh('create', xml);
  assert.equal(created.status, 0, created.stderr);
  endLater(async () => void virsh('destroy', NAME));
  const agent = await startAgent({ args: ['--no-collector.kernel', '--collector.kvm-stats.virsh'] });
  assert.equal(virsh('suspend', NAME).status, 0);
  const text = virsh('domstats', '--raw', '--vcpu', NAME).stdout;
  const sumOf = (stat: string) =>
    [...text.matchAll(new RegExp(`^ {2}vcpu\\.\\d\\.${stat}\\.sum=(\\d+)$`, 'gm'))].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  const shown = (stat: string) => ({ vm: NAME, stat });
  const samples = await agent.scrapeUntil(
    'the last statistics',
    (now) => now.sum('kvm_stat_total', shown('exits')) === sumOf('exits'),
    PATIENCE_MS,
  );
  assert.ok(sumOf('exits') > 0);
  for (const stat of ['halt_exits', 'insn_emulation', 'signal_exits', 'io_exits', 'halt_wakeup'])
    assert.equal(samples.sum('kvm_stat_total', shown(stat)), sumOf(stat), stat);
  assert.equal(samples.of('kvm_vm_info', { vm: NAME, uuid: UUID }).length, 1);
  await agent.stop();
});
