/** Recordings that name threads, but no processes: two VMs are never one row. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Counts = Record<string, number>;

/** Exits of a layer by row. */
function exitsByVm({ exits }: ReportData, layer: string): Counts {
  const counts: Counts = {};
  for (const row of exits) if (row.layer === layer) counts[row.vm] = (counts[row.vm] ?? 0) + row.count;
  return counts;
}

/** Events by thread, as the text shows them. `head` matches what stands before the event. */
function eventsByThread(file: string, head: RegExp, event: string): Counts {
  const counts: Counts = {};
  for (const line of readFixture(file).toString('latin1').split('\n')) {
    const [, comm = '', tid = ''] =
      ((line.includes(` ${event}: `) || line.includes(`:${event}: `)) && head.exec(line)) || [];
    if (tid !== '') counts[`${comm}-${tid}`] = (counts[`${comm}-${tid}`] ?? 0) + 1;
  }
  return counts;
}

const PERF = /^\s*(CPU \d\/KVM)\s+(\d+)\s/;
const FTRACE = /^\s*(CPU \d\/KVM)-(\d+)\s/;

for (const { file, head, layer, event } of [
  { file: 'ftrace-text/c1-top-notgid-all/trace_pipe.txt', head: FTRACE, layer: 'qemu', event: 'kvm_userspace_exit' },
  { file: 'text-forms/trace-cmd.txt', head: FTRACE, layer: 'kvm', event: 'kvm_exit' },
  { file: 'text-forms/trace-cmd-R.txt', head: FTRACE, layer: 'kvm', event: 'kvm_exit' },
  { file: 'text-forms/perf.txt', head: PERF, layer: 'kvm', event: 'kvm_exit' },
  { file: 'text-forms/perf-no-cpu.txt', head: PERF, layer: 'kvm', event: 'kvm_exit' },
])
  test(`each vCPU thread of ${file} has a row of its own`, () => {
    const want = eventsByThread(file, head, event);
    assert.equal(Object.keys(want).length, 3);
    assert.deepEqual(exitsByVm(reportOf(fixture(file)), layer), want);
  });

test('each vCPU thread of a trace.dat has a row of its own', () => {
  type Expectation = Record<'kvm_exit' | 'comm_by_tid', Counts>;
  const name = 'v7-two-vms-6.12.dat';
  const oracle = readJson<Record<string, Expectation>>('trace-dat/expected.json')[name];
  const want: Counts = {};
  for (const [key, count] of Object.entries(oracle?.kvm_exit ?? {})) {
    const [tid = ''] = key.split(' ');
    const row = `${oracle?.comm_by_tid[tid]}-${tid}`;
    want[row] = (want[row] ?? 0) + count;
  }
  assert.deepEqual(Object.keys(want).sort(), ['CPU 0/KVM-229', 'CPU 0/KVM-231', 'CPU 1/KVM-230']);
  assert.deepEqual(exitsByVm(reportOf(fixture(`trace-dat/${name}`)), 'kvm'), want);
});

test('a thread without a name has its id', () => {
  const rows = Object.keys(exitsByVm(reportOf(fixture('text-forms/perf-tid.txt')), 'kvm'));
  assert.deepEqual(rows.sort(), ['thread-196', 'thread-197', 'thread-198']);
});

test('the report says how to see VMs; it does not where processes are known', () => {
  const [unnamed, named] = ['perf', 'perf-tgid'].map((name) => runAgent('report', fixture(`text-forms/${name}.txt`)));
  assert.match(
    unnamed?.stderr ?? '',
    /perf\.txt\.gz: does not name processes, so each vCPU thread has a row of its own; to see VMs/,
  );
  assert.equal(named?.stderr, '');
});

test('more threads than a report can show share one row', (t) => {
  const lines = Array.from(
    { length: 5000 },
    (_, tid) =>
      ` CPU 0/KVM-${tid + 1} [000] d....  1.000001: kvm_exit: vcpu 0 reason HLT rip 0x0 info1 0x0 info2 0x0\n`,
  );
  const file = join(temporaryFolder(t, 'threads'), 'trace.txt');
  writeFileSync(file, lines.join(''));
  const { exits } = reportOf(file);
  assert.equal(exits.length, 4097);
  assert.equal(exits.find(({ vm }) => vm === '')?.count, 904);
});

const TRACE_CMD = [
  'cpus=2',
  '       CPU 0/KVM-777   [000]   541.000001: kvm_entry:            vcpu 0, rip 0xfff0',
  '       CPU 0/KVM-777   [000]   541.000002: kvm_exit:             reason IO_INSTRUCTION rip 0xfff0 info 800008 0',
  '       CPU 0/KVM-777   [000]   541.000003: kvm_userspace_exit:   reason KVM_EXIT_IO (2)',
  '       CPU 0/KVM-777   [000]   541.000004: kvm_entry:            vcpu 0, rip 0xfff0',
  '',
].join('\n');
const RUN_EXIT = 'kvm_run_exit cpu_index 0, reason 2\n';

/** A report of the trace, and of a log of QEMU that shows the same exit. */
function reportWithLog(t: TestContext, log: string, format: string): { stdout: string; stderr: string } {
  const folder = temporaryFolder(t, 'report');
  writeFileSync(join(folder, 'trace.txt'), TRACE_CMD);
  writeFileSync(join(folder, 'vm.log'), log);
  return runAgent('report', '--format', format, join(folder, 'trace.txt'), join(folder, 'vm.log'));
}

test('an exit that a log shows of a thread of the trace is counted once', (t) => {
  const { stdout, stderr } = reportWithLog(t, `777@541.000003:${RUN_EXIT}`, 'json');
  assert.deepEqual(exitsByVm(JSON.parse(stdout), 'qemu'), { 'CPU 0/KVM-777': 1 });
  assert.doesNotMatch(stderr, /counted twice/);
});

test('where nothing shows which threads a log is of, the report says that exits may be counted twice', (t) => {
  const note = /exits to QEMU of vm may be among those of other rows/;
  for (const log of [RUN_EXIT, `778@541.000003:${RUN_EXIT}`]) {
    const { stdout, stderr } = reportWithLog(t, log, 'table');
    assert.match(stdout, note);
    assert.match(stderr, /vm\.log: does not show which threads .* counted twice/);
  }
  const alone = runAgent('report', fixture('text-forms/trace-cmd.txt'));
  assert.doesNotMatch(alone.stdout + alone.stderr, /counted twice|among those/);
});
