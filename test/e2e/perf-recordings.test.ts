/** `report` on perf.data files and directories, against what perf counted in them: test/fixtures/perf-data. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Counts = Record<string, number>;

interface Expectation {
  readonly broken?: boolean;
  readonly kvm_exit: Counts;
  readonly kvm_userspace_exit: Counts;
  readonly pid_and_comm_by_tid: Record<string, [pid: number, comm: string]>;
  readonly lost_samples?: number;
}

const EXPECTED = readJson<Record<string, Expectation>>('perf-data/expected.json');
const KILLED = 'broken-killed-6.1.data';
const THREADS = 'threads-6.1.data.d';
const TRACEFS = fixture('perf-data/tracefs');

/** Exits by `vm vcpu layer reason`. Without a copy of /proc, a VM is called by its process id. */
function exitsOf({ exits }: ReportData): Counts {
  return Object.fromEntries(
    exits.map(({ vm, vcpu, layer, reason, count }) => [`${vm} ${vcpu} ${layer} ${reason}`, count]),
  );
}

function expectedExits({ kvm_exit, kvm_userspace_exit, pid_and_comm_by_tid: threads }: Expectation): Counts {
  const kvm = Object.entries(kvm_exit).map(([key, count]) => {
    const [, tid = '', vcpu = '', reason = ''] = /^(\d+) vcpu (\d+) (.*)$/.exec(key) ?? [];
    return [`${threads[tid]?.[0]} ${vcpu} kvm ${reason}`, count] as const;
  });
  const vcpuOf = (tid: string) => /^CPU (\d+)/.exec(threads[tid]?.[1] ?? '')?.[1] ?? '0';
  const qemu = Object.entries(kvm_userspace_exit).map(([key, count]) => {
    const [tid = '', reason = ''] = key.split(' ');
    return [`${threads[tid]?.[0]} ${vcpuOf(tid)} qemu ${reason}`, count] as const;
  });
  return Object.fromEntries([...kvm, ...qemu]);
}

function expectedOf(name: string): Expectation {
  return EXPECTED[name] ?? assert.fail(`no expectation of ${name}`);
}

/** Writes a fixture unpacked, and returns its path. */
function unpacked(t: TestContext, name: string, bytes: Uint8Array = readFixture(`perf-data/${name}`)): string {
  const path = join(temporaryFolder(t, 'perf-data'), 'perf.data');
  writeFileSync(path, bytes);
  return path;
}

function directory(t: TestContext, files = ['data', 'data.0', 'data.1']): string {
  const path = join(temporaryFolder(t, 'perf-data'), 'perf.data');
  mkdirSync(path);
  for (const file of files) writeFileSync(join(path, file), readFixture(`perf-data/${THREADS}/${file}`));
  return path;
}

function assertReport(report: ReportData, want: Expectation): void {
  assert.deepEqual(exitsOf(report), expectedExits(want));
  assert.deepEqual(report.lost, { events: want.lost_samples ?? 0, unknown_gaps: 0 });
}

for (const [name, want] of Object.entries(EXPECTED)) {
  if (want.broken === true || name === THREADS || Object.keys(want.pid_and_comm_by_tid).length === 0) continue;
  test(`report counts ${name} by VM, vCPU, layer and reason, packed or not`, (t) => {
    assertReport(reportOf(unpacked(t, name)), want);
    const packed = reportOf(fixture(`perf-data/${name}`));
    assertReport(packed, want);
    assert.deepEqual(packed.malformed, {});
  });
}

test('report counts a directory of perf record --threads', (t) => {
  const report = reportOf(directory(t));
  assertReport(report, expectedOf(THREADS));
  assert.deepEqual(report.malformed, {});
});

test('report counts a pipe that was cut', (t) => {
  const name = 'broken-pipe-cut-6.1.data';
  const report = reportOf(unpacked(t, name));
  assertReport(report, expectedOf(name));
  assert.deepEqual(report.malformed, { truncated: 1 });
});

test('report counts what a killed perf left, with the formats of a copy of tracefs', (t) => {
  const path = unpacked(t, KILLED);
  const { status, stdout, stderr } = runAgent('report', '--format=json', `--path.tracefs=${TRACEFS}`, path);
  assert.equal(status, 0);
  assertReport(JSON.parse(stdout), expectedOf(KILLED));
  assert.match(stderr, /^kvm-exit-exporter: .*perf\.data: is cut, or perf did not end properly; [^\n]*\n$/);
});

test('report counts a file that was cut before its formats, with a copy of tracefs', (t) => {
  const whole = readFixture('perf-data/five-6.1.data');
  const cut = unpacked(t, 'cut', whole.subarray(0, 150_000));
  const report = reportOf(`--path.tracefs=${TRACEFS}`, cut);
  const all = expectedExits(expectedOf('five-6.1.data'));
  for (const [key, count] of Object.entries(exitsOf(report))) assert.ok(count <= (all[key] ?? 0), key);
  assert.ok((report.tracepoints.kvm_exit ?? 0) > 100);
});

test('report warns of a recording with a frequency', (t) => {
  const { stderr } = runAgent('report', unpacked(t, 'sampled-6.1.data'));
  assert.match(stderr, /perf\.data: holds only some of these events, .*: kvm_userspace_exit; record with -c 1\n$/);
});

test('report takes the names of VMs from a copy of /proc', (t) => {
  const [[tid, [pid, comm]]] = Object.entries(expectedOf('five-6.1.data').pid_and_comm_by_tid) as [
    [string, [number, string]],
  ];
  const tree = new ProcTree(t);
  const args = ['qemu-system-x86_64', '-name', 'guest=web-1', '-accel', 'kvm'];
  tree.put({ pid, comm: 'qemu-system-x86', args, threads: [{ tid: Number(tid), comm }] });
  const report = reportOf('--path.procfs', tree.root, fixture('perf-data/five-6.1.data'));
  assert.deepEqual([...new Set(report.exits.map(({ vm }) => vm))], ['web-1']);
});

const REFUSED: { what: string; path: (t: TestContext) => string; tracefs?: string; says: RegExp }[] = [
  {
    what: 'a killed perf without a copy of tracefs',
    path: (t) => unpacked(t, KILLED),
    says: /lacks the formats of its events, .*: --path\.tracefs=DIR$/,
  },
  {
    what: 'a perf.data without tracepoints',
    path: (t) => unpacked(t, 'notrace-6.1.data'),
    says: /holds no tracepoints of KVM; record them: perf record -a -e 'kvm:\*'/,
  },
  {
    what: 'damaged compressed records',
    path: (t) => unpacked(t, 'broken-garbage-zstd-6.1.data'),
    says: /its compressed records are damaged; none of them can be read$/,
  },
  {
    what: 'a file that was cut before its first sample',
    path: (t) => unpacked(t, 'cut', readFixture('perf-data/five-6.1.data').subarray(0, 20_000)),
    tracefs: TRACEFS,
    says: /is cut, or perf did not end properly, before its first event; record it again$/,
  },
  {
    what: 'a big-endian perf.data',
    path: (t) => unpacked(t, 'be', Buffer.from('2ELIFREP.......................')),
    says: /big-endian host; give the text that `perf script` prints$/,
  },
  {
    what: 'a directory of perf record --threads with a damaged header',
    path: (t) => {
      const path = directory(t);
      writeFileSync(join(path, 'data'), Buffer.concat([Buffer.from('PERFILE2'), Buffer.alloc(200, 0xff)]));
      return path;
    },
    says: /perf\.data\/data: a perf\.data, damaged in its header$/,
  },
];

for (const { what, path, tracefs, says } of REFUSED)
  test(`report refuses ${what} and says what to do`, (t) => {
    const { status, stdout, stderr } = runAgent(
      'report',
      ...(tracefs === undefined ? [] : ['--path.tracefs', tracefs]),
      path(t),
    );
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr.trimEnd(), /^kvm-exit-exporter: [^\n]*$/);
    assert.match(stderr.trimEnd(), says);
  });
