/**
 * The traces of a real QEMU: the counts from them are exact, with and without the kernel's trace.
 *
 * QEMU_TRACED is the command of a QEMU with the trace backends log, simple and ftrace, such as
 * `/opt/qemu/bin/qemu-system-x86_64 -L /opt/qemu/share/qemu`. Distributions build `log` only, so the tests of the two
 * other backends are skipped without it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { runUntilKnown } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { type GuestOptions, startGuest } from '../support/guest/start-guest.js';
import { PROGRAM, PROGRAM_ARGS } from '../support/paths.js';
import { HANG_MS } from '../support/patience.js';
import type { Samples } from '../support/prometheus/samples.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Options of a test that does not read the kernel's trace. */
const WITHOUT_KERNEL = { ...needs('root', 'kvm', 'qemu'), timeout: 300_000 };

const [QEMU_TRACED = '', ...QEMU_TRACED_ARGS] = (process.env.QEMU_TRACED ?? '').split(' ');
/** Options of a test that needs a QEMU with all three trace backends. */
const WITH_ALL_BACKENDS =
  QEMU_TRACED === ''
    ? { ...liveTest(), skip: 'needs a QEMU with all three trace backends in the variable QEMU_TRACED' }
    : liveTest();

afterEach(endAll);

const TIMES = 100_000;
const STEPS: GuestOptions['steps'] = [{ out: 0x80, times: TIMES }];

const userspaceExits = (samples: Samples, vm: string) =>
  samples.sumBy('reason', 'kvm_exits_total', { vm, layer: 'qemu' });
const runExits = (samples: Samples, vm: string) =>
  samples.sum('qemu_trace_events_total', { vm, event: 'kvm_run_exit' });
const eventsOf = (samples: Samples, source: string) => samples.sum('kvm_exit_exporter_events_total', { source });

/**
 * Waits until every exit of the guest is counted, and half a second longer, so that an exit counted twice would show.
 */
async function scrapeAllExits(agent: RunningAgent, vm: string): Promise<Samples> {
  await agent.scrapeUntil('all exits', (samples) => runExits(samples, vm) >= TIMES + 1);
  await sleep(500);
  return agent.scrape();
}

test('the log alone is counted exactly, without tracefs', WITHOUT_KERNEL, async (t) => {
  const folder = temporaryFolder(t, 'live-qemu');
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*.log`] });
  const log = join(folder, 'only-log.log');
  await startGuest({ name: 'only-log', steps: STEPS, extraArgs: ['-trace', 'kvm_run_exit', '-D', log] }).finished();
  const samples = await scrapeAllExits(agent, 'only-log');
  assert.deepEqual(userspaceExits(samples, 'only-log'), { KVM_EXIT_IO: TIMES + 1 });
  assert.equal(samples.of('kvm_exit_exporter_source_up', { source: 'tracefs' }).length, 0);
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'qemu_log' }), 1);
  await agent.stop();
});

test('exits in both the log and the kernel trace are counted once', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'live-qemu');
  const agent = await startAgent({ args: [`--qemu.log=${folder}/*.log`] });
  const args = ['-trace', 'kvm_run_exit', '-D', join(folder, 'x.log'), '-msg', 'timestamp=on'];
  await runUntilKnown(
    agent,
    { name: 'both', steps: STEPS, extraArgs: args },
    (now) => (userspaceExits(now, 'both').KVM_EXIT_IO ?? 0) > 0,
  );
  const samples = await scrapeAllExits(agent, 'both');
  const { restart: _restart, error: _error, ...exits } = userspaceExits(samples, 'both');
  assert.deepEqual(exits, { KVM_EXIT_IO: TIMES + 1 });
  assert.equal(runExits(samples, 'both'), TIMES + 1);
  await agent.stop();
});

test('without tracefs there is only a warning if there is a log to follow', WITHOUT_KERNEL, async (t) => {
  const folder = temporaryFolder(t, 'live-qemu');
  const agent = await startAgent({ args: [`--path.tracefs=${folder}`, `--qemu.log=${folder}/*.log`] });
  const samples = await agent.scrape();
  assert.equal(samples.of('kvm_exit_exporter_source_up', { source: 'tracefs' }).length, 1);
  assert.equal(samples.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }), 0);
  assert.match(agent.log(), /level=warn msg=waiting err="--path.tracefs=.*no tracefs there/);
  await agent.stop();
});

test('a log belongs to the VM that has it open, whatever its name is', WITHOUT_KERNEL, async (t) => {
  const folder = temporaryFolder(t, 'live-qemu');
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*`] });
  const guest = startGuest({
    name: 'by-opener',
    steps: [{ forever: { out: 0x80 } }],
    extraArgs: ['-trace', 'kvm_run_exit', '-D', join(folder, 'unrelated-name')],
  });
  await agent.scrapeUntil('events of the VM', (samples) => runExits(samples, 'by-opener') > 10_000);
  await guest.kill();
  await agent.stop();
});

for (const how of ['all of them and the kernel', 'without the kernel', 'markers alone'] as const)
  test(`log, simple trace and markers of one QEMU are counted once: ${how}`, WITH_ALL_BACKENDS, async (t) => {
    const folder = temporaryFolder(t, 'live-qemu');
    const files = [`--qemu.log=${folder}/*.log`, `--qemu.simple=${folder}/trace-*`];
    const sources: Record<typeof how, string[]> = {
      'all of them and the kernel': files,
      'without the kernel': ['--no-collector.kernel', ...files],
      // Without kvm_userspace_exit the kernel's trace has no userspace exits, so those of the markers are counted.
      'markers alone': ['--tracefs.events=kvm:kvm_exit'],
    };
    if (how === 'markers alone' && !existsSync(`${TRACEFS}/options/copy_trace_marker`)) {
      t.skip('this kernel does not copy markers to other instances (no option copy_trace_marker)');
      return;
    }
    const agent = await startAgent({ args: sources[how] });
    const args = ['-D', join(folder, 'vm.log'), '-msg', 'timestamp=on'];
    const trace = ['-trace', `kvm_run_exit,file=${join(folder, 'trace-vm')}`];
    const extraArgs = [...QEMU_TRACED_ARGS, ...args, ...trace];
    await startGuest({ name: 'traced', qemu: QEMU_TRACED, steps: STEPS, extraArgs }).finished();
    const samples = await scrapeAllExits(agent, 'traced');
    assert.equal(userspaceExits(samples, 'traced').KVM_EXIT_IO, TIMES + 1);
    assert.equal(runExits(samples, 'traced'), TIMES + 1);
    // The agent gets markers at once, but reads the files only now and then.
    for (const source of how === 'markers alone' ? [] : ['qemu_log', 'qemu_simple']) {
      const read = await agent.scrapeUntil(source, (now) => eventsOf(now, source) > TIMES);
      assert.equal(eventsOf(read, source), TIMES + 1);
    }
    await agent.stop();
  });

for (const reader of ['binary', 'text'])
  test(`markers in the top-level buffer are counted, with the ${reader} reader`, WITH_ALL_BACKENDS, async () => {
    const agent = await startAgent({
      args: ['--no-tracefs.markers', '--tracefs.consume-top-level', `--tracefs.reader=${reader}`],
    });
    const extraArgs = [...QEMU_TRACED_ARGS, '-trace', 'kvm_run_exit'];
    await startGuest({ name: 'top-level', qemu: QEMU_TRACED, steps: STEPS, extraArgs }).finished();
    const samples = await scrapeAllExits(agent, 'top-level');
    assert.equal(userspaceExits(samples, 'top-level').KVM_EXIT_IO, TIMES + 1);
    assert.equal(runExits(samples, 'top-level'), TIMES + 1);
    await agent.stop();
  });

/** Runs the `qemu` command of the program to its end. */
function qemuCommand(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(PROGRAM, [...PROGRAM_ARGS, 'qemu', ...args], { encoding: 'utf8' });
}

test('trace events are switched on over QMP, counted, and switched off', WITHOUT_KERNEL, async (t) => {
  const folder = temporaryFolder(t, 'live-qemu');
  const socket = join(folder, 'qmp');
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.log=${folder}/*.log`] });
  const guest = startGuest({
    name: 'switched',
    steps: [{ forever: { out: 0x80 } }],
    extraArgs: ['-D', join(folder, 'switched.log'), '-qmp', `unix:${socket},server=on,wait=off`],
  });
  for (const endMs = performance.now() + HANG_MS; !existsSync(socket); await sleep(50))
    assert.ok(performance.now() < endMs, guest.lastWords());
  const status = () => qemuCommand('status', '--qmp', socket, 'kvm_run_exit').stdout;
  assert.equal(status(), 'disabled     kvm_run_exit\n');
  assert.equal(runExits(await agent.scrape(), 'switched'), 0);
  const enabled = qemuCommand('enable', '--qmp', socket, 'kvm_run_exit');
  assert.deepEqual([enabled.status, enabled.stdout], [0, 'enabled      kvm_run_exit\n'], enabled.stderr);
  await agent.scrapeUntil('exits', (samples) => (userspaceExits(samples, 'switched').KVM_EXIT_IO ?? 0) > 1000);
  assert.equal(qemuCommand('status', '--qmp', socket).stdout, 'enabled      kvm_run_exit\n');
  assert.equal(qemuCommand('disable', '--qmp', socket, 'kvm_run_exit').stdout, 'disabled     kvm_run_exit\n');
  const log = join(folder, 'switched.log');
  const lines = () => readFileSync(log, 'utf8').match(/kvm_run_exit .*\n/g)?.length ?? 0;
  await agent.scrapeUntil('all lines of the log', (now) => runExits(now, 'switched') === lines());
  const before = lines();
  await sleep(1000);
  assert.deepEqual([lines(), runExits(await agent.scrape(), 'switched')], [before, before]);
  const unknown = qemuCommand('enable', '--qmp', socket, 'kvm_run_exit', 'no_such_event');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /no_such_event/);
  assert.equal(status(), 'disabled     kvm_run_exit\n', 'only one of the two events was switched on');
  const all = qemuCommand('enable', '--qmp', socket);
  assert.match(all.stdout, /^enabled {6}kvm_run_exit$/m);
  await guest.kill();
  const gone = qemuCommand('status', '--qmp', socket);
  assert.equal(gone.status, 2);
  assert.match(gone.stderr, /no QEMU listens there|no such file/);
  await agent.stop();
});

test('run without any source to read is refused, and so is a missing list of trace events', (t) => {
  const { status, stderr } = spawnSync(
    PROGRAM,
    [...PROGRAM_ARGS, 'run', '--no-collector.kernel', '--no-collector.kvm-stats'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.match(stderr, /leave nothing to read: leave one out, or give --qemu.log or --qemu.simple/);
  const missing = join(temporaryFolder(t, 'trace-events'), 'missing');
  const bad = spawnSync(PROGRAM, [...PROGRAM_ARGS, 'run', '--qemu.log=x', `--qemu.trace-events=${missing}`], {
    encoding: 'utf8',
  });
  assert.equal(bad.status, 2);
  assert.match(bad.stderr, /no such file/);
});
