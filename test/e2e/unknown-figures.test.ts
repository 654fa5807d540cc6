/** What a recording cannot show is unknown in every form of the report, and never 0. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TraceText } from '../support/trace/trace-text.js';

function saved(t: TestContext, text: string): string {
  const path = join(temporaryFolder(t, 'unknown'), 'trace.txt');
  writeFileSync(path, text);
  return path;
}

/** The recording of two VMs without the lines of one event. */
function without(t: TestContext, event: string): string {
  const lines = readFixture('svm/two-vms-6.12/trace_pipe.txt').toString('latin1').split('\n');
  return saved(t, lines.filter((line) => !line.includes(` ${event}: `)).join('\n'));
}

function print(...args: string[]): string {
  const { status, stdout, stderr } = runAgent('report', ...args);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Figures of each VM that are null. */
function unknownFigures(path: string): string[] {
  const { totals } = reportOf(path);
  assert.equal(totals.length, 2);
  const [first, second] = totals.map((row) =>
    Object.entries(row).flatMap(([name, figure]) => (figure === null ? [name] : [])),
  );
  assert.deepEqual(first, second);
  return first ?? [];
}

/** Times that are null in every row. */
function unknownTimes(path: string): string[] {
  const { vcpu_times: times } = reportOf(path);
  const names = ['kvm_seconds', 'qemu_seconds', 'idle_seconds'] as const;
  for (const row of times)
    for (const name of names) assert.equal(row[name], (times[0] as typeof row)[name] === null ? null : row[name]);
  return names.filter((name) => times.every((row) => row[name] === null));
}

test('without kvm_exit, exits to KVM, shares, causes, and times but those in QEMU are unknown', (t) => {
  const path = without(t, 'kvm_exit');
  assert.deepEqual(unknownFigures(path), [
    'kvm_exits',
    'kvm_exits_per_second',
    'share_reaching_qemu',
    'time_outside_guest',
  ]);
  assert.deepEqual(unknownTimes(path), ['kvm_seconds', 'idle_seconds']);
  const { causes, unpaired } = reportOf(path);
  assert.deepEqual(causes, []);
  assert.deepEqual([...new Set(unpaired.map(({ layer }) => layer))], ['qemu']);
  assert.match(print(path), /how many VM exits there were is not in this recording \(no kvm_exit\)/);
});

test('without kvm_userspace_exit, what reaches QEMU is unknown, and which part of the time was in QEMU', (t) => {
  const path = without(t, 'kvm_userspace_exit');
  assert.deepEqual(unknownFigures(path), [
    'qemu_exits',
    'qemu_exits_per_second',
    'share_reaching_qemu',
    'time_in_qemu',
  ]);
  assert.deepEqual(unknownTimes(path), ['kvm_seconds', 'qemu_seconds']);
  const { causes, unpaired, durations, eventfds } = reportOf(path);
  assert.deepEqual([causes, eventfds.filter(({ kind }) => kind === 'ioeventfd')], [[], []]);
  assert.deepEqual([...new Set(unpaired.map(({ layer }) => layer))], ['kvm']);
  assert.deepEqual([...new Set(durations.map(({ layer }) => layer))], ['unknown']);
});

test('without kvm_entry, all times are unknown', (t) => {
  const path = without(t, 'kvm_entry');
  assert.deepEqual(unknownFigures(path), ['time_outside_guest', 'time_in_qemu']);
  assert.deepEqual(unknownTimes(path), ['kvm_seconds', 'qemu_seconds', 'idle_seconds']);
  assert.doesNotMatch(print(path), /Where the time of vCPUs went/);
});

for (const event of ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit'])
  test(`without ${event}, table, CSV and Prometheus text invent nothing`, (t) => {
    const path = without(t, event);
    assert.doesNotMatch(print(path), /\b0 ns\b| 0\.0 %|NaN/);
    const [heading = '', ...lines] = print('--format=csv', path).split('\n');
    const names = heading.split(',');
    for (const line of lines.filter((row) => row.startsWith('totals,'))) {
      const fields = line.split(',');
      const empty = names.filter((_, column) => fields[column] === '');
      for (const name of unknownFigures(path)) assert.ok(empty.includes(name), `${name} in ${line}`);
    }
    const prometheus = print('--format=prometheus', path);
    assert.doesNotMatch(prometheus, /^kvm_(?:eventfd|exits|exit_causes)_\S+ (?:0|NaN)$/m);
    // A time of 0 is known where exits and entries are: a vCPU that was never idle.
    const unknownStates = ['ready_seconds', 'unknown_seconds', ...unknownTimes(path)].map((name) => name.split('_')[0]);
    for (const [line, state = ''] of prometheus.matchAll(/^kvm_vcpu_seconds_total\S+,state="(\w+)"\S* .*$/gm))
      assert.ok(!unknownStates.includes(state), line);
  });

test('perf kvm stat record shows neither what reached QEMU nor ioeventfd signals', () => {
  const path = fixture('perf-data/kvmstat-6.1.data');
  const { totals, eventfds, vcpu_times: times } = reportOf(path);
  assert.deepEqual(
    [totals[0]?.qemu_exits, totals[0]?.share_reaching_qemu, totals[0]?.time_in_qemu],
    [null, null, null],
  );
  assert.deepEqual([times[0]?.kvm_seconds, times[0]?.qemu_seconds], [null, null]);
  assert.deepEqual(eventfds, []);
  assert.doesNotMatch(print(path), /\b0 ns\b| 0\.0 %/);
});

test('a trace of kvm_pio alone has its ports', () => {
  const text = print(fixture('public/30-tglx-pio-only.txt'));
  assert.match(text, /^No exits in this recording\.\n\n/);
  assert.match(text, /unknown +pio out +0x3f8 +serial1 +2\n/);
});

const A = { pid: 1000 };

test('calls of KVM_RUN that failed are no exits that reach QEMU', (t) => {
  const text = new TraceText().entry(A, 0).out(A, 10, 0x70, 1, 1).exit(A, 100, 'interrupt');
  for (let at = 101; at < 110; at++) text.line(A, at, 'kvm_userspace_exit: reason restart (4)');
  text.line(A, 110, 'kvm_userspace_exit: reason error (-14)').entry(A, 1_000_000);
  const path = saved(t, String(text));
  const [row] = reportOf(path).totals;
  assert.deepEqual([row?.kvm_exits, row?.qemu_exits, row?.share_reaching_qemu], [2, 1, 0.5]);
  const lines = print(path).split('\n');
  assert.equal(lines[0], '1 s: 2 VM exits (2/s), 50.0 % of them went on to QEMU (1/s).');
  assert.equal(lines[1], 'Most exits to QEMU: 1000, 1/s; 100.0 % of them KVM_EXIT_IO.');
});

test('failed calls that a text does not distinguish are noted beside the figures', (t) => {
  const line = (at: number) =>
    ` CPU 0/KVM   159 [000]  ${at}.000000: kvm:kvm_userspace_exit: reason KVM_EXIT_HLT (5)\n`;
  const path = saved(t, [1, 2, 3].map(line).join(''));
  assert.equal(reportOf(path).undecided_qemu_exits, 3);
  assert.match(
    print(path),
    /^.*\nUp to 3 of the exits to QEMU may be calls of KVM_RUN that failed, which this recording/,
  );
  assert.match(print('--format=csv', path), /^undecided_qemu_exits,(?:,|3)+/m);
  assert.equal(reportOf(fixture('text-forms/trace-cmd.txt')).undecided_qemu_exits, 0);
});

test('time lost of all VMs is that of the vCPUs whose time is known', (t) => {
  const text = new TraceText().entry(A, 0).handled(A, 0, 'cpuid', 500_000).entry(A, 1_000_000);
  text.exit({ pid: 2000 }, 900_000, 'cpuid');
  const rows = print(saved(t, String(text)))
    .split('\n')
    .filter((line) => / %$| unknown$/.test(line) && / all /.test(line));
  assert.deepEqual(
    rows.map((row) => row.split(/ {2,}/).at(-1)),
    ['50.0 %'],
  );
});

test('--diff says unknown where a recording does not show a figure', (t) => {
  const [before, after] = [without(t, 'kvm_userspace_exit'), without(t, 'kvm_exit')];
  const text = print('--diff', before, after);
  assert.match(text, /exits to QEMU per s +unknown +[\d,]+ +unknown\n/);
  assert.match(text, /exits to KVM per s +[\d,]+ +unknown +unknown\n/);
  assert.match(text, /share reaching QEMU +unknown +unknown +unknown\n/);
  assert.match(text, /time lost +[\d.]+ % +unknown +unknown\n/);
});
