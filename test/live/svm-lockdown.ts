/**
 * A host that goes under kernel lockdown (`integrity`, as Secure Boot sets it), which closes debugfs. `check` reports
 * that door closed for each VM, with the reason, and the agent reads the statistics of a VM with a QMP socket there:
 * they must be what its QEMU answers to this script. Prints what `check` says; the exit code is 1 if something differs.
 *
 * svm.test.ts runs this in an emulated host, because nothing but a reboot ends lockdown.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runAgent } from '../support/agent/run-agent.js';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { startGuest } from '../support/guest/start-guest.js';

const PATIENCE_MS = 240_000;
const SECURITYFS = '/sys/kernel/security';
const DEBUGFS = '/sys/kernel/debug/kvm';
const STEPS = [{ bursts: { out: 0x80, times: 20, everyMs: 20 } }];
const STATISTICS = ['exits', 'io_exits', 'halt_exits', 'halt_wakeup'];

/** Reads a statistic of a VM from debugfs. */
async function readExits(pid: number): Promise<number> {
  const folder = () => readdirSync(DEBUGFS).find((name) => name.startsWith(`${pid}-`));
  while (folder() === undefined) await sleep(100);
  return Number(readFileSync(`${DEBUGFS}/${folder()}/exits`, 'utf8'));
}

function lockDown(): void {
  if (!existsSync(`${SECURITYFS}/lockdown`)) spawnSync('mount', ['-t', 'securityfs', 'none', SECURITYFS]);
  writeFileSync(`${SECURITYFS}/lockdown`, 'integrity');
  console.log(`lockdown: ${readFileSync(`${SECURITYFS}/lockdown`, 'utf8').trim()}`);
}

function assertCheckReports(socket: string): void {
  const { stdout } = runAgent('check', `--qemu.qmp=${socket}`);
  console.log(stdout);
  const lines = stdout.split('\n');
  for (const line of [
    /^ok +lockdown +integrity, which closes debugfs/,
    /^ok +statistics +with-qmp: over QMP \(.*\), for each vCPU; debugfs: kernel lockdown closes debugfs$/,
    /^warn +statistics +without-qmp: none; no QMP socket of it is known; debugfs: kernel lockdown closes debugfs/,
  ])
    assert.ok(
      lines.some((each) => line.test(each)),
      String(line),
    );
}

async function checkLockdown(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lockdown-'));
  const [ofAgent, ofTest] = ['agent', 'test'].map((name) => `${folder}/${name}.sock`) as [string, string];
  const sockets = [ofAgent, ofTest].flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]);
  const guest = startGuest({ name: 'with-qmp', steps: STEPS, extraArgs: sockets });
  const other = startGuest({ name: 'without-qmp', steps: STEPS });
  for (const { pid } of [guest, other]) assert.ok((await readExits(pid)) >= 0);
  lockDown();
  for (const { pid } of [guest, other]) await assert.rejects(readExits(pid), { code: 'EPERM' });
  assertCheckReports(ofAgent);

  const agent = await startAgent({ args: [`--qemu.qmp=${ofAgent}`], timeoutMs: PATIENCE_MS });
  const qemu = await QmpClient.connect(ofTest);
  // A VM that stands still has statistics that stand still.
  await qemu.execute('stop');
  const { vcpus } = await qemu.statistics();
  const answer = (stat: string) => Number(vcpus.get('0')?.get(stat));
  assert.ok(answer('exits') > 0);
  const shown = (stat: string) => ({ vm: 'with-qmp', vcpu: '0', stat });
  const samples = await agent.scrapeUntil(
    'the last statistics',
    (now) => now.sum('kvm_stat_total', shown('exits')) === answer('exits'),
    PATIENCE_MS,
  );
  for (const stat of STATISTICS) {
    console.log(`${stat}: ${samples.sum('kvm_stat_total', shown(stat))}, by QEMU ${answer(stat)}`);
    assert.equal(samples.sum('kvm_stat_total', shown(stat)), answer(stat));
  }
  assert.deepEqual(samples.of('kvm_stat_total', { vm: 'without-qmp' }), []);
  qemu.close();
  for (const each of [guest, other]) await each.kill();
  await agent.stop();
}

try {
  await checkLockdown();
} catch (error) {
  console.log(error);
  process.exitCode = 1;
} finally {
  await endAll();
}
