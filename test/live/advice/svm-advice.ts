/**
 * The advice on a host whose KVM raises kvm_exit and kvm_entry, so that findings have costs:
 *
 * 1. A guest that wakes up often makes KVM poll. The finding ends with the setting that the advice names.
 * 2. A Linux guest with IDE, serial console and HPET, and the same guest with what its findings ask for.
 *
 * Costs are compared with figures that this script reads itself: KVM's statistics, and the text of the same trace. The
 * figures of the Linux guests are written to RESULT, in JSON.
 *
 * svm-advice.test.ts runs this in an emulated host. The folder LINUX_GUEST has the files of the guest. All events are
 * enabled before the first guest starts, because enabling one while vCPUs run can crash such a host.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RULES } from '../../../src/advice/rules.js';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll, endLater } from '../../support/end-later.js';
import { LINUX_READY } from '../../support/guest/linux-guest.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { MAIN } from '../../support/paths.js';
import { TextTrace } from '../../support/trace/text-trace.js';
import { costsByAddress } from '../../support/trace/trace-costs.js';

const { LINUX_GUEST = '', RESULT = '' } = process.env;
const PATIENCE_MS = 240_000;
const BOOT_MS = 420_000;
const RECORD_SECONDS = 20;
const TOLERANCE = 0.2;
const BUFFER_KB = 40_960;
const HALT_POLL_NS = '/sys/module/kvm/parameters/halt_poll_ns';
const DEBUGFS = '/sys/kernel/debug/kvm';

/** The findings of the Linux guest, and the ports or pages that each of them is about. */
const EXPECTED: Readonly<Record<string, RegExp>> = {
  hpet: /^mmio 0xfed00/,
  'emulated-disk': /^pio 0x(?:1f[0-7]|3f6|17[0-7]|376)$/,
  'serial-console': /^pio 0x3f[89a-f]$/,
};

function pollSeconds(pid: number): number {
  const folder = readdirSync(DEBUGFS).find((name) => name.startsWith(`${pid}-`)) ?? '';
  const read = (name: string) => Number(readFileSync(`${DEBUGFS}/${folder}/${name}`, 'utf8'));
  return (read('halt_poll_success_ns') + read('halt_poll_fail_ns')) / 1e9;
}

async function checkHaltPolling(): Promise<void> {
  const before = readFileSync(HALT_POLL_NS, 'utf8');
  // An emulated host takes long to wake a vCPU, so it polls for longer here.
  writeFileSync(HALT_POLL_NS, '20000000');
  const agent = await startAgent({
    args: ['--no-collector.kernel', '--advice.lasting=20s', '--advice.disable=waiting-for-cpu'],
    timeoutMs: PATIENCE_MS,
  });
  const guest = startGuest({ name: 'naps', steps: [{ bursts: { out: 0x80, times: 1, everyMs: 8 } }] });
  const findings = async () => (await agent.scrape()).of('kvm_vm_advice', { vm: 'naps', advice: 'halt-polling' });
  await agent.scrapeUntil(
    'halt polling',
    (samples) => samples.of('kvm_vm_advice', { advice: 'halt-polling' }).length > 0,
    PATIENCE_MS,
  );
  const [polled, startMs] = [pollSeconds(guest.pid), performance.now()];
  const costs: number[] = [];
  for (let tries = 0; tries < 10; tries++) {
    await sleep(3000);
    for (const { value } of await findings()) costs.push(value);
  }
  const expected = (pollSeconds(guest.pid) - polled) / ((performance.now() - startMs) / 1000);
  const cost = costs.reduce((sum, value) => sum + value, 0) / costs.length;
  console.log(
    `halt-polling: costs ${cost.toFixed(3)}, by debugfs ${expected.toFixed(3)} (${costs.map((each) => each.toFixed(2))})`,
  );
  assert.ok(Math.abs(cost / expected - 1) <= TOLERANCE);
  writeFileSync(HALT_POLL_NS, '0');
  for (let tries = 0; (await findings()).length > 0; tries++) {
    assert.ok(tries < 30, 'the finding stays after halt_poll_ns=0');
    await sleep(2000);
  }
  console.log('halt-polling: gone with halt_poll_ns=0');
  writeFileSync(HALT_POLL_NS, before);
  await guest.kill();
  await agent.stop();
}

/** Starts the Linux guest, and returns the file of its console. */
function startLinux(name: string, args: string, append: string): string {
  const console = `/tmp/${name}.console`;
  const all = `-name guest=${name},debug-threads=on -accel kvm -cpu host -m 256 -display none -nodefaults -no-reboot ${args}`;
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...all.replaceAll('DISK', join(LINUX_GUEST, 'disk.raw')).replaceAll('CONSOLE', console).split(' '),
      ...['-kernel', join(LINUX_GUEST, 'vmlinux'), '-initrd', join(LINUX_GUEST, 'initramfs')],
      ...['-append', `quiet panic=-1 mitigations=off ${append}`],
    ],
    { stdio: 'inherit' },
  );
  endLater(async () => {
    child.kill('SIGKILL');
  });
  return console;
}

/** The arguments that the advice prints, for the disk and the console of this guest. */
function printedChange(advice: string): string {
  const qemu = RULES.find(({ id }) => id === advice)?.changes.qemu ?? '';
  return qemu
    .replace('format=qcow2', 'format=raw,snapshot=on')
    .replace('-chardev null,id=console0', '-chardev file,path=CONSOLE,id=console0');
}

interface FindingData {
  readonly vm: string;
  readonly advice: string;
  readonly per_second: number;
  readonly cost: number | null;
}

async function checkLinux(witness: TextTrace): Promise<void> {
  const consoles = [
    startLinux(
      'legacy',
      '-serial file:CONSOLE -drive file=DISK,format=raw,snapshot=on,if=ide',
      'console=ttyS0 clocksource=hpet',
    ),
    startLinux('cured', Object.keys(EXPECTED).map(printedChange).join(' '), 'console=hvc0'),
  ];
  const startMs = performance.now();
  const textOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  while (!consoles.every((file) => textOf(file).includes(LINUX_READY))) {
    if (performance.now() - startMs > BOOT_MS) throw new Error(consoles.map(textOf).join('\n'));
    await sleep(1000);
  }
  for (const file of consoles)
    console.log(
      readFileSync(file, 'utf8')
        .split('\n')
        .find((line) => line.includes(LINUX_READY)),
    );
  const record = spawn(process.execPath, [MAIN, 'record', '-o', '/tmp/linux.dat', '--duration', `${RECORD_SECONDS}s`], {
    stdio: 'inherit',
  });
  const recorded = new Promise((resolve) => record.once('close', resolve));
  witness.start();
  assert.equal(await recorded, 0);
  witness.stop();
  const text = witness.text();
  const { stdout, stderr } = spawnSync(process.execPath, [MAIN, 'report', '--format=json', '/tmp/linux.dat'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (stdout === '') console.log(stderr);
  const report = JSON.parse(stdout);
  const findings: readonly FindingData[] = report.findings;
  for (const { vm, advice, per_second, cost } of findings)
    console.log(`${vm}: ${advice}: ${per_second.toFixed(0)}/s, costs ${cost?.toFixed(3)}`);
  const costs = costsByAddress(text);
  for (const [advice, addresses] of Object.entries(EXPECTED)) {
    const matching = [...costs].filter(([address]) => addresses.test(address));
    const sum = matching.reduce((total, [, { seconds }]) => total + seconds, 0);
    const count = matching.reduce((total, [, each]) => total + each.perSecond, 0);
    console.log(`by the text of the trace: ${advice}: ${count.toFixed(0)}/s, costs ${sum.toFixed(3)}`);
  }
  if (RESULT !== '') {
    const totals = report.totals;
    writeFileSync(RESULT, `${JSON.stringify({ findings, totals }, null, 2)}\n`);
  }
  const namesOf = (vm: string) => findings.filter((finding) => finding.vm === vm).map(({ advice }) => advice);
  assert.deepEqual(namesOf('legacy').sort(), Object.keys(EXPECTED).sort());
  assert.deepEqual(namesOf('cured'), []);
}

const witness = new TextTrace(['kvm'], BUFFER_KB);
for (const check of [() => checkLinux(witness), checkHaltPolling])
  try {
    await check();
  } catch (error) {
    console.log(error);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
witness.close();
