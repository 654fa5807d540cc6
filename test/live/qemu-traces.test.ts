/**
 * A real QEMU and its own traces: what they count is exact, alone or beside the kernel's trace.
 *
 * QEMU_TRACED names a QEMU with the backends log, simple and ftrace (`/opt/qemu/bin/qemu-system-x86_64 -L /opt/qemu/share/qemu`); distributions
 * build `log` only, so tests of the others are skipped without it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { type GuestOptions, startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import type { Samples } from '../support/prometheus/samples.js';
import { needs, type Requirement } from '../support/requirements.js';

const live = (...more: Requirement[]) => ({ ...needs('root', 'kvm', 'qemu', ...more), timeout: 60_000 });
const liveKernel = (...more: Requirement[]) => live('tracefs', 'kvm-events', ...more);

const [TRACED = '', ...TRACED_ARGS] = (process.env.QEMU_TRACED ?? '').split(' ');
const traced = (options: { skip: string | false; timeout: number }) =>
  TRACED === '' ? { ...options, skip: 'needs QEMU_TRACED, a QEMU with all three backends' } : options;

afterEach(endAll);

const TIMES = 100_000;
const STEPS: GuestOptions['steps'] = [{ out: 0x80, times: TIMES }];

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'live-qemu-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const qemuExits = (samples: Samples, vm: string) => samples.sumBy('reason', 'kvm_exits_total', { vm, layer: 'qemu' });
const runExits = (samples: Samples, vm: string) =>
  samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' });
const eventsOf = (samples: Samples, source: string) => samples.sum('kvm_exit_exporter_events_total', { source });

/** Waits until what there is to read was read: twice the same. */
async function settled(agent: Awaited<ReturnType<typeof startAgent>>, vm: string): Promise<Samples> {
  await agent.scrapeUntil('all of it', (samples) => runExits(samples, vm) >= TIMES + 1, 20_000);
  await sleep(500);
  return agent.scrape();
}

test('the log alone: exact without tracefs', live(), async (t) => {
  const folder = folderFor(t);
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*.log`] });
  const log = join(folder, 'only-log.log');
  await startGuest({ name: 'only-log', steps: STEPS, extraArgs: ['-trace', 'kvm_run_exit', '-D', log] }).finished();
  const samples = await settled(agent, 'only-log');
  assert.deepEqual(qemuExits(samples, 'only-log'), { KVM_EXIT_IO: TIMES + 1 });
  assert.equal(samples.of('kvm_exit_exporter_source_up', { source: 'tracefs' }).length, 0);
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'qemu_log' }), 1);
  await agent.stop();
});

test('a log beside the kernel: counted once, and a cross-check', liveKernel(), async (t) => {
  const folder = folderFor(t);
  const agent = await startAgent({ args: [`--qemu.log=${folder}/*.log`] });
  const args = ['-trace', 'kvm_run_exit', '-D', join(folder, 'x.log'), '-msg', 'timestamp=on'];
  await startGuest({ name: 'both', steps: STEPS, extraArgs: args }).finished();
  const samples = await settled(agent, 'both');
  const { restart: _restart, error: _error, ...exits } = qemuExits(samples, 'both');
  assert.deepEqual(exits, { KVM_EXIT_IO: TIMES + 1 });
  assert.equal(runExits(samples, 'both'), TIMES + 1);
  await agent.stop();
});

test('a host without tracefs is only warned of where there is a log', live(), async (t) => {
  const folder = folderFor(t);
  const agent = await startAgent({ args: [`--path.tracefs=${folder}`, `--qemu.log=${folder}/*.log`] });
  const samples = await agent.scrape();
  assert.equal(samples.of('kvm_exit_exporter_source_up', { source: 'tracefs' }).length, 1);
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }), 0);
  assert.match(agent.log(), /level=warn msg=waiting err="--path.tracefs=.*no tracefs there/);
  await agent.stop();
});

test('the log of a VM is found by who has it open, whatever its name', live(), async (t) => {
  const folder = folderFor(t);
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*`] });
  const guest = startGuest({
    name: 'by-opener',
    steps: [{ forever: { out: 0x80 } }],
    extraArgs: ['-trace', 'kvm_run_exit', '-D', join(folder, 'nobody-knows-whose')],
  });
  await agent.scrapeUntil('its VM', (samples) => runExits(samples, 'by-opener') > 10_000);
  await guest.kill();
  await agent.stop();
});

for (const how of ['all three at once', 'without the kernel', 'markers alone'] as const)
  test(`log, simple trace and markers of a QEMU that has them: ${how}`, traced(liveKernel()), async (t) => {
    const folder = folderFor(t);
    const files = [`--qemu.log=${folder}/*.log`, `--qemu.simple=${folder}/trace-*`];
    const sources: Record<typeof how, string[]> = {
      'all three at once': files,
      'without the kernel': ['--no-collector.kernel', ...files],
      // Without kvm_userspace_exit the kernel does not count, and the markers do.
      'markers alone': ['--tracefs.events=kvm:kvm_exit'],
    };
    if (how === 'markers alone' && !existsSync(`${TRACEFS}/options/copy_trace_marker`)) {
      t.skip('this kernel cannot copy markers');
      return;
    }
    const agent = await startAgent({ args: sources[how] });
    const args = ['-D', join(folder, 'vm.log'), '-msg', 'timestamp=on'];
    const trace = ['-trace', `kvm_run_exit,file=${join(folder, 'trace-vm')}`];
    const extraArgs = [...TRACED_ARGS, ...args, ...trace];
    await startGuest({ name: 'traced', qemu: TRACED, steps: STEPS, extraArgs }).finished();
    const samples = await settled(agent, 'traced');
    assert.equal(qemuExits(samples, 'traced').KVM_EXIT_IO, TIMES + 1);
    assert.equal(runExits(samples, 'traced'), TIMES + 1);
    // Markers come at once, files when they are looked at.
    for (const source of how === 'markers alone' ? [] : ['qemu_log', 'qemu_simple']) {
      const read = await agent.scrapeUntil(source, (now) => eventsOf(now, source) > TIMES);
      assert.equal(eventsOf(read, source), TIMES + 1);
    }
    await agent.stop();
  });

for (const reader of ['binary', 'text'])
  test(`markers from the top-level buffer, as ${reader}, where the user allows it`, traced(liveKernel()), async () => {
    const agent = await startAgent({
      args: ['--no-tracefs.markers', '--tracefs.consume-top-level', `--tracefs.reader=${reader}`],
    });
    const extraArgs = [...TRACED_ARGS, '-trace', 'kvm_run_exit'];
    await startGuest({ name: 'top-level', qemu: TRACED, steps: STEPS, extraArgs }).finished();
    const samples = await settled(agent, 'top-level');
    assert.equal(qemuExits(samples, 'top-level').KVM_EXIT_IO, TIMES + 1);
    assert.equal(runExits(samples, 'top-level'), TIMES + 1);
    await agent.stop();
  });

/** Runs the program to its end. */
function qemuCommand(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, [MAIN, 'qemu', ...args], { encoding: 'utf8' });
}

test('events of a running QEMU are switched on over QMP, counted, and switched off', live(), async (t) => {
  const folder = folderFor(t);
  const socket = join(folder, 'qmp');
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*.log`] });
  const guest = startGuest({
    name: 'switched',
    steps: [{ forever: { out: 0x80 } }],
    extraArgs: ['-D', join(folder, 'switched.log'), '-qmp', `unix:${socket},server=on,wait=off`],
  });
  for (let i = 0; i < 100 && !existsSync(socket); i++) await sleep(50);
  const status = () => qemuCommand('status', '--qmp', socket, 'kvm_run_exit').stdout;
  assert.equal(status(), 'disabled     kvm_run_exit\n');
  assert.equal(runExits(await agent.scrape(), 'switched'), 0);
  const enabled = qemuCommand('enable', '--qmp', socket, 'kvm_run_exit');
  assert.deepEqual([enabled.status, enabled.stdout], [0, 'enabled      kvm_run_exit\n'], enabled.stderr);
  await agent.scrapeUntil('exits', (samples) => (qemuExits(samples, 'switched').KVM_EXIT_IO ?? 0) > 1000);
  assert.equal(qemuCommand('status', '--qmp', socket).stdout, 'enabled      kvm_run_exit\n');
  assert.equal(qemuCommand('disable', '--qmp', socket, 'kvm_run_exit').stdout, 'disabled     kvm_run_exit\n');
  let before = -1;
  // What is written is read within half a second.
  for (let now = 0; now !== before; await sleep(1000))
    [before, now] = [now, runExits(await agent.scrape(), 'switched')];
  assert.equal(runExits(await agent.scrape(), 'switched'), before);
  const unknown = qemuCommand('enable', '--qmp', socket, 'kvm_run_exit', 'no_such_event');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /no_such_event/);
  assert.equal(status(), 'disabled     kvm_run_exit\n', 'half of what was asked for was done');
  const all = qemuCommand('enable', '--qmp', socket);
  assert.match(all.stdout, /^enabled {6}kvm_run_exit$/m);
  await guest.kill();
  const gone = qemuCommand('status', '--qmp', socket);
  assert.equal(gone.status, 2);
  assert.match(gone.stderr, /nobody listens there|no such file/);
  await agent.stop();
});

test('without a kernel and without a file to follow there is nothing to do, and the program says so', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'run', '--no-collector.kernel'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /--no-collector.kernel leaves nothing to read: give --qemu.log or --qemu.simple/);
  const file = join(tmpdir(), `no-events-${process.pid}`);
  writeFileSync(file, 'not a list');
  const bad = spawnSync(process.execPath, [MAIN, 'run', '--qemu.log=x', `--qemu.trace-events=${file}.none`], {
    encoding: 'utf8',
  });
  rmSync(file);
  assert.equal(bad.status, 2);
  assert.match(bad.stderr, /no such file/);
});
