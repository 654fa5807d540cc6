/** `stat` on this host, with guests whose exits are known. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { ReportData } from '../../src/expose/report/report.js';
import { tracingInstances, uniqueInstance } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { liveTest } from '../support/guest/live-test.js';
import { QmpClient } from '../support/guest/qmp-client.js';
import { startGuest } from '../support/guest/start-guest.js';
import { startProgram } from '../support/guest/start-program.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

const stat = (instance: string, ...args: string[]) => [
  ...PROGRAM_ARGS,
  'stat',
  `--tracefs.instance=${instance}`,
  ...args,
];

test('stat -- PROGRAM counts while the program runs, and has its exit code', liveTest(), async (t) => {
  const instance = uniqueInstance();
  const file = join(temporaryFolder(t, 'stat'), 'answer.json');
  const counted = [PROGRAM, ...stat(instance, '--format=json', '--vm=stat-exact', '--')];
  // finished() asserts that the exit code is the one that the guest gave to QEMU.
  await startGuest({
    name: 'stat-exact',
    // Two seconds or more on any machine, in which the program finds the VM.
    steps: [{ bursts: { out: 0x80, times: 1000, everyMs: 20, ticks: 100 } }],
    prefix: ['sh', '-c', 'exec "$@" 2>"$0"', file, ...counted],
  }).finished();
  // QEMU writes to the same file.
  const answer =
    readFileSync(file, 'utf8')
      .split('\n')
      .find((line) => line.startsWith('{')) ?? assert.fail();
  const { totals, exits, io, recording } = JSON.parse(answer) as ReportData;
  const [vm] = totals;
  assert.deepEqual([totals.length, vm?.vm, vm?.qemu_exits], [1, 'stat-exact', 100_001]);
  assert.equal(exits.find(({ reason }) => reason === 'KVM_EXIT_IO')?.count, 100_001);
  assert.equal(io.find(({ address, layer }) => address === '0x80' && layer === 'qemu')?.count, 100_000);
  assert.equal(vm?.qemu_exits_per_second, 100_001 / (recording.seconds ?? 0));
  assert.ok(!tracingInstances().includes(instance));
});

test('stat counts for the time that it is given', liveTest(), async () => {
  const instance = uniqueInstance();
  const guest = startGuest({ name: 'stat-timed', steps: [{ forever: { out: 0x80 } }] });
  while (guest.writesDone() === 0) await sleep(50);
  const before = guest.writesDone();
  const { stdout, stderr } = spawnSync(PROGRAM, stat(instance, '1s', '--format=json', '--vm=stat-*'), {
    encoding: 'utf8',
  });
  const after = guest.writesDone();
  const { totals, recording } = JSON.parse(stdout) as ReportData;
  const exits = totals[0]?.qemu_exits ?? 0;
  // The guest counts a write after its exit, so one may be under way.
  assert.ok(exits > 100 && exits <= after - before + 1, `${exits} of ${after - before}; ${stderr}`);
  assert.ok((recording.seconds ?? 0) >= 1 && (recording.seconds ?? 0) < 10, String(recording.seconds));
});

test("VM exits and KVM's own statistics are those that QEMU answers", liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'stat');
  const [begun, done] = [join(folder, 'begun'), join(folder, 'done')];
  const guest = startGuest({
    name: 'stat-kvm',
    // Two sockets: a QEMU serves one client at a time on each.
    extraArgs: ['stat', 'test'].flatMap((name) => ['-qmp', `unix:${join(folder, name)}.qmp,server=on,wait=off`]),
    steps: [{ waitForHost: true }, { bursts: { out: 0x80, times: 100, everyMs: 2, ticks: 200 } }, { halt: true }],
  });
  while (!existsSync(join(folder, 'test.qmp'))) await sleep(50);
  const qemu = await QmpClient.connect(join(folder, 'test.qmp'));
  const totals = async () => new Map((await qemu.statistics()).vcpus.get('0'));
  const outer = [await totals()];
  const program = ['sh', '-c', 'touch "$0"; while [ ! -e "$1" ]; do sleep 0.1; done', begun, done];
  const args = stat(uniqueInstance(), `--qemu.qmp=${folder}/stat.qmp`, '--vm=stat-kvm', '--format=json', '--');
  const child = spawn(PROGRAM, [...args, ...program], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  let answer = '';
  child.stderr.on('data', (text) => {
    answer += text;
  });
  while (!existsSync(begun)) await sleep(50);
  const inner = [await totals()];
  guest.goOn();
  while (guest.writesDone() < 20_000) await sleep(50);
  // The last interrupt of the timer has been counted, too, once the vCPU sleeps for good.
  await sleep(500);
  inner.push(await totals());
  writeFileSync(done, '');
  await ended;
  outer.push(await totals());
  qemu.close();

  const line = answer.split('\n').find((each) => each.startsWith('{')) ?? assert.fail(answer);
  const { totals: vms, kvm_statistics: statistics, audit } = JSON.parse(line) as ReportData;
  const grown = ([before, after]: typeof outer, name: string) => Number(after?.get(name)) - Number(before?.get(name));
  for (const name of ['exits', 'halt_exits', 'insn_emulation']) {
    const [own] = statistics.filter(({ stat, vcpu }) => stat === name && vcpu === '0');
    const [least, most] = [grown(inner, name), grown(outer, name)];
    assert.ok(own?.count && own.count >= least && own.count <= most, `${name}: ${own?.count}, not ${least} to ${most}`);
  }
  const waits = statistics.find(({ stat }) => stat === 'halt_wait_ns')?.seconds ?? 0;
  const [least, most] = [grown(inner, 'halt_wait_ns') / 1e9, grown(outer, 'halt_wait_ns') / 1e9];
  assert.ok(waits >= least - 1e-9 && waits <= most + 1e-9, `${waits}, not ${least} to ${most}`);
  const [vm] = vms;
  assert.equal(vm?.qemu_exits, 20_000);
  assert.ok((vm?.kvm_exits ?? 0) >= 20_000, String(vm?.kvm_exits));
  assert.ok(audit.some(({ check }) => check === 'exits'));
});

test('Ctrl-C ends the counting, and the answer is that of the time so far', liveTest(), async () => {
  const program = startProgram(['stat', '1h']);
  while (!tracingInstances().includes(program.instance)) await sleep(50);
  await sleep(1000);
  program.process.kill('SIGINT');
  await program.ended();
  assert.equal(program.process.exitCode, 0, program.log());
  assert.match(program.output(), /^(?:\d[\d.]* m?s: |No exits in this time)/);
  assert.ok(!tracingInstances().includes(program.instance));
});

for (const [name, args] of [
  ['stat', ['stat', '1h']],
  ['stat -- PROGRAM', ['stat', '1h']],
  ['top', ['top', '--batch']],
] as const)
  test(`a signal in the first moment leaves no instance behind: ${name}`, liveTest(), async () => {
    const instance = uniqueInstance();
    const program = name.includes('--') ? ['stat', `--tracefs.instance=${instance}`, '--', 'sleep', '60'] : args;
    const child = spawn(PROGRAM, [...PROGRAM_ARGS, ...program, `--tracefs.instance=${instance}`], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (!tracingInstances().includes(instance)) await nextTurn();
    child.kill('SIGTERM');
    await ended;
    assert.ok(!tracingInstances().includes(instance));
  });

test('a program that cannot be run, a VM that is not there', liveTest(), () => {
  const run = (...args: string[]) => {
    const instance = uniqueInstance();
    const { status, stderr } = spawnSync(PROGRAM, stat(instance, ...args), { encoding: 'utf8' });
    assert.ok(!tracingInstances().includes(instance));
    return { status, stderr };
  };
  const missing = run('--', 'no-such-program-anywhere');
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /no-such-program-anywhere cannot be run: there is no such program/);
  assert.equal(run('--', '/').status, 126);
  assert.equal(run('--', 'sh', '-c', 'kill -TERM $$').status, 128 + 15);
  const noVm = run('100ms', '--vm=no-such-vm');
  assert.equal(noVm.status, 2);
  assert.match(noVm.stderr, /--vm=no-such-vm: no such VM on this host; it has /);
});
