/** `--since` and `--until`: which part of a recording is counted. Expected figures are worked out by hand. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TraceText } from '../support/trace/trace-text.js';

const A = { pid: 1000 };
const SECOND = 1_000_000;

/** An exit of 1 ms at 10, 11, 12, 13 and 14 s, each for a reason of its own. */
const STEPS = ['hlt', 'msr', 'cpuid', 'npf', 'vintr'].reduce(
  (text, reason, step) => text.handled(A, (10 + step) * SECOND, reason, 1000),
  new TraceText(),
);

function saved(t: TestContext, text: TraceText | string, name = 'trace.txt'): string {
  const path = join(temporaryFolder(t, 'window'), name);
  writeFileSync(path, String(text));
  return path;
}

function reasons({ exits }: ReportData): string[] {
  return exits.map(({ reason }) => reason).sort();
}

function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-9, `${actual}, expected ${expected}`);
}

function assertRefused(args: readonly string[], message: RegExp): void {
  const { status, stdout, stderr } = runAgent('report', ...args);
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
  assert.match(stderr, message);
}

for (const [options, wanted, seconds] of [
  [['--since=1', '--until=3'], ['cpuid', 'msr'], 2],
  [['--since=1s', '--until=3000ms'], ['cpuid', 'msr'], 2],
  [['--since=@11', '--until=@13.000000'], ['cpuid', 'msr'], 2],
  [['--since=@11.000001'], ['cpuid', 'npf', 'vintr'], 3.000999],
  [['--since=3.5'], ['vintr'], 0.501],
  [['--until=0.5'], ['hlt'], 0.5],
  [['--until=100'], ['cpuid', 'hlt', 'msr', 'npf', 'vintr'], 4.001],
] as const)
  test(`report ${options.join(' ')}`, (t) => {
    const report = reportOf(...options, saved(t, STEPS));
    assert.deepEqual(reasons(report), wanted);
    near(report.recording.seconds, seconds);
  });

test('an exit before the window is not paired with the entry inside', (t) => {
  const { exits, durations } = reportOf('--since=@10.0005', '--until=1.5', saved(t, STEPS));
  assert.deepEqual(
    exits.map(({ reason }) => reason),
    ['msr'],
  );
  assert.deepEqual(
    durations.map(({ reason, count }) => [reason, count]),
    [['msr', 1]],
  );
});

test('relative times of several files count from the start of all', (t) => {
  const [first, second] = [8, 10].map((at) => saved(t, new TraceText().handled(A, at * SECOND, `at_${at}`, 1000)));
  for (const files of [
    [first, second],
    [second, first],
  ]) {
    assert.deepEqual(reasons(reportOf('--since=1.5', ...files.map(String))), ['at_10']);
    assert.deepEqual(reasons(reportOf('--until=1.5', ...files.map(String))), ['at_8']);
  }
});

test('two windows of a real recording add up to all of it', () => {
  const sum = (report: ReportData) => report.exits.reduce((total, { count }) => total + count, 0);
  for (const path of ['svm/two-vms-6.12', 'svm/two-vms-6.12/trace_pipe.txt', 'virtio/kvm-seabios-ioeventfd/log.txt']) {
    const [early, late, all] = [['--until=1.25'], ['--since=1.25'], []].map((args) =>
      sum(reportOf(...args, fixture(path))),
    );
    assert.ok(early !== undefined && late !== undefined && early > 0 && late > 0, path);
    assert.equal(early + late, all, path);
  }
});

test('the window of a simple trace is on the clock of its events', () => {
  const path = fixture('qemu-simple/a2-exact-2vcpu/trace-a2');
  const { recording, qemu_events } = reportOf(path);
  const middle = ((recording.start_seconds ?? 0) + (recording.end_seconds ?? 0)) / 2;
  const halves = [`--until=@${middle.toFixed(9)}`, `--since=@${middle.toFixed(9)}`].map((half) => reportOf(half, path));
  const [early = 0, late = 0] = halves.map((half) => half.qemu_events.kvm_run_exit);
  assert.ok(early > 0 && late > 0);
  assert.equal(early + late, qemu_events.kvm_run_exit);
});

for (const [options, lost] of [
  [[], 12],
  [['--until=1.5'], 5],
  [['--since=1.5', '--until=2.5'], 5],
  [['--since=2.1', '--until=2.9'], 0],
  [['--since=2.5', '--until=3.5'], 7],
  [['--since=3.5'], 7],
] as const)
  test(`losses ${options.join(' ') || 'of the whole recording'}`, (t) => {
    // Five events of CPU 0 are lost between 11 s and 12 s, seven events of CPU 1 after 13 s.
    const text = new TraceText()
      .handled(A, 10 * SECOND, 'hlt', 1000)
      .handled({ ...A, vcpu: 1, cpu: 1 }, 13 * SECOND, 'hlt', 1000)
      .handled(A, 11 * SECOND, 'hlt', 1000)
      .lost(0, 5)
      .handled(A, 12 * SECOND, 'hlt', 1000)
      .handled(A, 14 * SECOND, 'hlt', 1000)
      .lost(1, 7);
    assert.equal(reportOf(...options, saved(t, text)).lost.events, lost);
  });

test('losses that only statistics show are mentioned', (t) => {
  const folder = join(temporaryFolder(t, 'window'), 'recording');
  cpSync(fixture('ftrace-raw/d1-drained-after'), folder, { recursive: true });
  mkdirSync(join(folder, 'stats'));
  writeFileSync(join(folder, 'stats/cpu0'), 'entries: 0\noverrun: 9\n');
  const { stderr, status } = runAgent('report', '--since=0', folder);
  assert.equal(status, 0);
  assert.match(stderr, /^kvm-exit-exporter: \S+: its statistics do not say when events were lost/);
});

test('a window without events, and a recording without times, are refused', (t) => {
  const path = saved(t, STEPS);
  const outside = /no event is between --since and --until: the recording is 4\.001 s long, from @10 to @14\.001/;
  assertRefused(['--since=5', path], outside);
  assertRefused(['--until=@9.5', path], outside);
  assertRefused(['--since=3', '--until=2', path], outside);
  assertRefused(
    ['--since=1', fixture('text-variants/trace_pipe.clk-counter.txt')],
    /the events of this recording have no times/,
  );
  assertRefused(['--since=later', path], /--since=later: expected seconds from the start such as 5/);
});

test('a log without a prefix has no times', (t) => {
  const log = readFixture('qemu-log/b1-plain/log.txt').toString('latin1');
  const path = saved(t, log, 'vm-a.log');
  if (reportOf(path).recording.seconds !== null) return;
  assertRefused(['--since=1', path], /have no times/);
});
