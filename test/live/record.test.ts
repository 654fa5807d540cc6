/** `record` on this host, with a guest whose exits are known, and `report` of what it wrote. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tracingInstances, uniqueInstance } from '../support/agent/agent.js';
import { reportOf } from '../support/agent/run-agent.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import { needs } from '../support/requirements.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const LIVE = { ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu'), timeout: 60_000 };

interface Recording {
  readonly instance: string;
  readonly process: ChildProcess;
  /** Waits until it has ended. */
  ended(): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Starts `record -o DIR` and waits until it records. */
async function startRecording(output: string, ...args: string[]): Promise<Recording> {
  const instance = uniqueInstance();
  const child = spawn(process.execPath, [MAIN, 'record', '-o', output, `--tracefs.instance=${instance}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const closed = once(child, 'close');
  for (let waitedMs = 0; !stderr.includes('msg=recording') && child.exitCode === null; waitedMs += 10) {
    if (waitedMs > 15_000) assert.fail(`does not record: ${stderr}`);
    await sleep(10);
  }
  return {
    instance,
    process: child,
    async ended() {
      await closed;
      assert.ok(!tracingInstances().includes(instance), `${instance} is left behind`);
      return { code: child.exitCode, stdout, stderr };
    },
  };
}

function reasons(folder: string, vm: string): Record<string, number> {
  const exits = reportOf(folder).exits.filter((exit) => exit.vm === vm && exit.layer === 'qemu');
  return Object.fromEntries(exits.map(({ reason, count }) => [reason, count]));
}

test(
  'record saves every exit of a VM that starts and ends meanwhile, wherever the directory is then',
  LIVE,
  async (t) => {
    const folder = temporaryFolder(t, 'record');
    const output = join(folder, 'made/by/record');
    const recording = await startRecording(output);
    await startGuest({ name: 'vm-live', steps: [{ out: 0x80, times: 100_000 }] }).finished();
    recording.process.kill('SIGINT');
    const { code, stdout, stderr } = await recording.ended();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Recorded [\d,]{7,} events \([\d,]+ bytes of pages\); none lost\.$/m);
    assert.match(stdout, /^VMs seen: .*\bvm-live\b/m);
    assert.ok(stdout.endsWith(`kvm-exit-exporter report ${output}\n`));

    const moved = join(folder, 'moved');
    renameSync(output, moved);
    const { KVM_EXIT_IO, restart = 0, ...others } = reasons(moved, 'vm-live');
    assert.equal(KVM_EXIT_IO, 100_001);
    assert.ok(restart < 10);
    assert.deepEqual(others, {});
    const { lost, malformed } = reportOf(moved);
    assert.deepEqual({ lost, malformed }, { lost: { events: 0, unknown_gaps: 0 }, malformed: {} });
  },
);

test('record writes all that it takes to read it, for its owner only', LIVE, async (t) => {
  const output = join(temporaryFolder(t, 'record'), 'recording');
  const guest = startGuest({ name: 'vm-files', steps: [{ forever: { out: 0x80 } }] });
  try {
    const recording = await startRecording(output, '--duration=2s', '--tracefs.events=kvm:kvm_userspace_exit');
    const { code, stdout, stderr } = await recording.ended();
    assert.equal(code, 0, stderr);
    const bytes = /\(([\d,]+) bytes of pages\)/.exec(stdout)?.[1]?.replaceAll(',', '');
    const pages = readdirSync(output).filter((name) => /^cpu\d+\.raw$/.test(name));
    const sizes = pages.map((name) => statSync(join(output, name)).size);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      Number(bytes),
    );
    const pageSize = 1024 * (Number(readText(output, 'tracefs/buffer_subbuf_size_kb')) || 4);
    for (const size of sizes) assert.equal(size % pageSize, 0);
  } finally {
    await guest.kill();
  }
  assert.equal(statSync(output).mode & 0o077, 0);
  for (const file of [
    'events/header_page',
    'events/kvm/kvm_exit/format',
    'events/ftrace/print/format',
    'saved_cmdlines',
  ])
    assert.ok(existsSync(join(output, 'tracefs', file)), file);
  assert.match(readText(output, 'tracefs/trace_clock'), /\[(mono|local)\]/);
  assert.match(readText(output, 'stats/cpu0'), /^read events: \d+$/m);
  for (const file of ['cmdline', 'comm', 'cgroup', 'stat', 'status', `task/${guest.pid}/comm`])
    assert.ok(existsSync(join(output, 'proc', String(guest.pid), file)), file);
  assert.match(
    readText(output, 'README.md'),
    /^- Host: Linux .*\n- Date: .*\n- Command: `kvm-exit-exporter record -o/m,
  );
  assert.deepEqual(Object.keys(reportOf(output).tracepoints), ['kvm_userspace_exit']);
  const { KVM_EXIT_IO = 0 } = reasons(output, 'vm-files');
  assert.ok(KVM_EXIT_IO > 1000);
});

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function readText(folder: string, file: string): string {
  return existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '';
}

test('record says what it lost, and report agrees: counted and lost are what the kernel wrote', LIVE, async (t) => {
  const output = join(temporaryFolder(t, 'record'), 'recording');
  const recording = await startRecording(output, '--tracefs.buffer-size=64KiB');
  recording.process.kill('SIGSTOP');
  await startGuest({ name: 'vm-lossy', steps: [{ out: 0x80, times: 20_000 }] }).finished();
  recording.process.kill('SIGCONT');
  recording.process.kill('SIGTERM');
  const { code, stdout } = await recording.ended();
  assert.equal(code, 0);
  const number = (text = '') => Number(text.replaceAll(',', ''));
  const [, events, lost] = /^Recorded ([\d,]+) events .*; ([\d,]+) lost: a larger/m.exec(stdout) ?? [];
  const got = reportOf(output);
  assert.equal(total(got.tracepoints), number(events));
  assert.deepEqual(got.lost, { events: number(lost), unknown_gaps: 0 });
  assert.ok(number(events) > 0 && number(lost) > 0 && number(events) + number(lost) > 20_000);
});

test('record on a full disk says so, and leaves no instance behind', LIVE, async (t) => {
  const disk = join(temporaryFolder(t, 'record'), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', disk]);
  try {
    const recording = await startRecording(join(disk, 'recording'));
    const guest = startGuest({ name: 'vm-full', steps: [{ forever: { out: 0x80 } }] });
    const { code, stdout, stderr } = await recording.ended().finally(() => guest.kill());
    assert.equal(code, 2, stderr);
    // Which file it is depends on how fast the guest is.
    assert.match(stderr, /^kvm-exit-exporter: \/.*\/recording\/(cpu\d+\.raw|proc\/.*): no space left on the device$/m);
    assert.equal(stdout, '');
    // What is there can be read.
    assert.ok(total(reportOf(join(disk, 'recording')).tracepoints) > 1000);
  } finally {
    execFileSync('umount', [disk]);
  }
});
