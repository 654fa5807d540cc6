/** `record` on this host with a guest whose exits are known, and `report` on the recording. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { tracingInstances } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { waitForLog } from '../support/guest/agent-checks.js';
import { liveTest } from '../support/guest/live-test.js';
import { type RingBufferStats, ringBufferStats, subBufferBytes } from '../support/guest/ring-buffers.js';
import { startGuest } from '../support/guest/start-guest.js';
import { type StartedProgram, startProgram } from '../support/guest/start-program.js';
import { HANG_MS } from '../support/patience.js';
import { temporaryFolder } from '../support/temporary-folder.js';

afterEach(endAll);

/** Starts `record -o OUTPUT` and waits until it records. */
async function startRecording(output: string, ...args: string[]): Promise<StartedProgram> {
  const recorder = startProgram(['record', '-o', output, ...args]);
  await waitForLog(recorder, 'msg=recording');
  return recorder;
}

/** Waits until `record` has ended, and asserts that it removed its tracing instance. */
async function resultOf(recorder: StartedProgram): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await recorder.ended();
  assert.ok(!tracingInstances().includes(recorder.instance), `${recorder.instance} is left behind`);
  return { code: recorder.process.exitCode, stdout: recorder.output(), stderr: recorder.log() };
}

/** Userspace exits of a VM in a recording, by reason. */
function userspaceExits(folder: string, vm: string): Record<string, number> {
  const exits = reportOf(folder).exits.filter((exit) => exit.vm === vm && exit.layer === 'qemu');
  return Object.fromEntries(exits.map(({ reason, count }) => [reason, count]));
}

test(
  'record saves every exit of a VM that starts and ends meanwhile; the recording can be moved',
  liveTest(),
  async (t) => {
    const folder = temporaryFolder(t, 'record');
    const output = join(folder, 'made/by/record');
    const recorder = await startRecording(output);
    // Two seconds or more on any machine, in which the program finds the VM.
    const bursts = { out: 0x80, times: 1000, everyMs: 20, ticks: 100 };
    await startGuest({ name: 'vm-live', steps: [{ bursts }] }).finished();
    recorder.process.kill('SIGINT');
    const { code, stdout, stderr } = await resultOf(recorder);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Recorded [\d,]{7,} events \([\d,]+ bytes of pages\); none lost\.$/m);
    assert.match(stdout, /^VMs seen: .*\bvm-live\b/m);
    assert.ok(stdout.endsWith(`kvm-exit-exporter report ${output}\n`));

    const moved = join(folder, 'moved');
    renameSync(output, moved);
    const { KVM_EXIT_IO, restart = 0, ...further } = userspaceExits(moved, 'vm-live');
    assert.equal(KVM_EXIT_IO, 100_001);
    assert.ok(restart < 10);
    assert.deepEqual(further, {});
    const { lost, malformed } = reportOf(moved);
    assert.deepEqual({ lost, malformed }, { lost: { events: 0, unknown_gaps: 0 }, malformed: {} });
  },
);

test('a recording is one trace.dat, and only its owner can read it', liveTest(), async (t) => {
  const folder = temporaryFolder(t, 'record');
  const output = join(folder, 'vm.dat');
  const guest = startGuest({ name: 'vm-files', steps: [{ forever: { out: 0x80 } }] });
  try {
    while (guest.writesDone() === 0) await sleep(20);
    const recorder = await startRecording(output, '--duration=2s', '--tracefs.events=kvm:kvm_userspace_exit');
    const { code, stdout, stderr } = await resultOf(recorder);
    assert.equal(code, 0, stderr);
    const bytes = Number(/\(([\d,]+) bytes of pages\)/.exec(stdout)?.[1]?.replaceAll(',', ''));
    assert.ok(statSync(output).size >= bytes);
  } finally {
    await guest.kill();
  }
  assert.deepEqual(readdirSync(folder), ['vm.dat']);
  assert.equal(statSync(output).mode & 0o777, 0o600);
  assert.deepEqual(Object.keys(reportOf(output).tracepoints), ['kvm_userspace_exit']);
  const { KVM_EXIT_IO = 0 } = userspaceExits(output, 'vm-files');
  assert.ok(KVM_EXIT_IO > 1000);
});

test('trace-cmd counts the same events in a recording, without a warning', liveTest('trace-cmd'), async (t) => {
  const output = join(temporaryFolder(t, 'record'), 'vm.dat');
  const recorder = await startRecording(output);
  await startGuest({ name: 'vm-trace-cmd', steps: [{ out: 0x80, times: 20_000 }] }).finished();
  recorder.process.kill('SIGINT');
  assert.equal((await resultOf(recorder)).code, 0);
  const { status, stdout, stderr } = spawnSync('trace-cmd', ['report', '-i', output], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const counts: Record<string, number> = {};
  for (const [, event = ''] of stdout.matchAll(/\] +[\d.]+: (\w+):/g)) counts[event] = (counts[event] ?? 0) + 1;
  assert.deepEqual(counts, reportOf(output).tracepoints);
});

test(
  'a recording holds VM names and statistics, but no command lines',
  liveTest('kvm-debugfs', 'trace-cmd'),
  async (t) => {
    const output = join(temporaryFolder(t, 'record'), 'vm.dat');
    const recorder = await startRecording(output);
    const guest = startGuest({ name: 'vm-noted', steps: [{ forever: { out: 0x80 } }], extraArgs: ['-object', SECRET] });
    try {
      while (guest.writesDone() === 0) await sleep(20);
      await sleep(1000);
      recorder.process.kill('SIGINT');
      assert.equal((await resultOf(recorder)).code, 0);
    } finally {
      await guest.kill();
    }
    assert.ok(!readFileSync(output).includes('top-secret'));
    const stats = spawnSync('trace-cmd', ['report', '--stat', '-i', output], { encoding: 'utf8' }).stdout;
    assert.match(stats, /^Notes of kvm-exit-exporter$/m);
    const lines = stats.split('\n').filter((line) => line.includes(`"vm":"${guest.pid}-`));
    // Under kernel lockdown, few of the statistics can be read; `blocking` is one of them.
    const values = lines.map((line) => JSON.parse(line) as { statistics: string; values: Record<string, number> });
    assert.equal(values.at(-1)?.statistics, 'end');
    assert.ok(values.every((line) => line.values.blocking !== undefined));
  },
);

test('what a killed record leaves is counted', liveTest(), async (t) => {
  const output = join(temporaryFolder(t, 'record'), 'vm.dat');
  const recorder = await startRecording(output);
  await startGuest({ name: 'vm-killed', steps: [{ out: 0x80, times: 20_000 }] }).finished();
  // It writes at once what it has read, and leaves events until a sub-buffer of their CPU is full.
  const full = subBufferBytes(recorder.instance);
  const isRead = ({ read, mostBytes }: RingBufferStats) => read > 0 && mostBytes < full;
  for (const endMs = performance.now() + HANG_MS; !isRead(ringBufferStats(recorder.instance)); await sleep(50))
    assert.ok(performance.now() < endMs, 'events stay in the buffers');
  await sleep(500);
  recorder.process.kill('SIGKILL');
  await recorder.ended();
  const { status, stdout, stderr } = runAgent('report', '--format=json', output);
  assert.equal(status, 0, stderr);
  const [first = '', second = ''] = stderr.split('\n');
  assert.match(first, /vm\.dat: was not finished; its pages are in files beside it$/);
  // The notes are written last.
  assert.match(second, /vm\.dat: does not name processes/);
  assert.ok(((JSON.parse(stdout) as ReportData).tracepoints.kvm_userspace_exit as number) > 10_000);
  // The next program with this name removes the instance.
  const next = startProgram(['record', '-o', `${output}.next`], { instance: recorder.instance });
  await waitForLog(next, 'msg=recording');
  next.process.kill('SIGINT');
  assert.equal((await resultOf(next)).code, 0);
});

/** An argument of QEMU's command line that does not name the VM. */
const SECRET = 'secret,id=s0,data=top-secret';

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

test('record and report agree on the numbers of recorded and lost events', liveTest(), async (t) => {
  const output = join(temporaryFolder(t, 'record'), 'recording');
  const recorder = await startRecording(output, '--tracefs.buffer-size=64KiB');
  recorder.process.kill('SIGSTOP');
  await startGuest({ name: 'vm-lossy', steps: [{ out: 0x80, times: 20_000 }] }).finished();
  recorder.process.kill('SIGCONT');
  recorder.process.kill('SIGTERM');
  const { code, stdout } = await resultOf(recorder);
  assert.equal(code, 0);
  const number = (text = '') => Number(text.replaceAll(',', ''));
  const [, events, lost] = /^Recorded ([\d,]+) events .*; ([\d,]+) lost: a larger/m.exec(stdout) ?? [];
  const report = reportOf(output);
  assert.equal(total(report.tracepoints), number(events));
  assert.deepEqual(report.lost, { events: number(lost), unknown_gaps: 0 });
  assert.ok(number(events) > 0 && number(lost) > 0 && number(events) + number(lost) > 20_000);
});

test('record reports a full disk and leaves no instance behind', liveTest(), async (t) => {
  const disk = join(temporaryFolder(t, 'record'), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', disk]);
  try {
    const recorder = await startRecording(join(disk, 'recording'));
    const guest = startGuest({ name: 'vm-full', steps: [{ forever: { out: 0x80 } }] });
    const { code, stdout, stderr } = await resultOf(recorder).finally(() => guest.kill());
    assert.equal(code, 2, stderr);
    // Which file fills the disk depends on the speed of the guest.
    assert.match(stderr, /^kvm-exit-exporter: \/.*\/recording(\.cpu\d+)?: no space left on the device$/m);
    assert.equal(stdout, '');
    // The part that was written is readable.
    assert.ok(total(reportOf(join(disk, 'recording')).tracepoints) > 1000);
  } finally {
    execFileSync('umount', [disk]);
  }
});
