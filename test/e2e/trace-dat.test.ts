/** `report` on trace.dat files of real VMs, against what trace-cmd counts in them (test/fixtures/trace-dat). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ReportData } from '../../src/expose/report/report.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { formatTexts, headerPage } from '../support/trace/recorded-formats.js';
import { buildVersion6, buildVersion7, type TraceDatPages } from '../support/trace/trace-dat-builder.js';

type Counts = Record<string, number>;

interface Expected {
  readonly broken?: boolean;
  readonly events: Counts;
  /** `158 vcpu 0 npf`: thread, vCPU, reason. */
  readonly kvm_exit: Counts;
  /** `158 KVM_EXIT_IO` */
  readonly kvm_userspace_exit: Counts;
  /** `158 write 0x80` */
  readonly kvm_pio: Counts;
  /** `CPU:1 [104 EVENTS DROPPED]` */
  readonly lost_lines: readonly string[];
  /** `203 kvm_run_exit cpu_index 0, reason 2` */
  readonly qemu_markers?: Counts;
}

const EXPECTED = readJson<Record<string, Expected>>('trace-dat/expected.json');
const GOOD = Object.entries(EXPECTED).filter(([, { broken }]) => broken !== true);

/** A trace.dat of the fixtures, unpacked. */
function traceDat(t: TestContext, name: string): string {
  const path = join(temporaryFolder(t, 'trace-dat'), name);
  writeFileSync(path, readFixture(`trace-dat/${name}`));
  return path;
}

/** Sums of the counts by what `keyOf` makes of their keys. */
function sums(counts: Counts, keyOf: (key: string) => string): Counts {
  const result: Counts = {};
  for (const [key, count] of Object.entries(counts)) result[keyOf(key)] = (result[keyOf(key)] ?? 0) + count;
  return result;
}

/** The expected exits as `layer vcpu reason`. */
function expectedExits({ kvm_exit, kvm_userspace_exit }: Expected): Counts {
  const vcpus = new Map(Object.keys(kvm_exit).map((key) => [key.split(' ')[0], key.split(' ')[2]]));
  return {
    ...sums(kvm_exit, (key) => key.replace(/^\d+ vcpu (\d+)/, 'kvm $1')),
    ...sums(kvm_userspace_exit, (key) => key.replace(/^\d+/, (tid) => `qemu ${vcpus.get(tid)}`)),
  };
}

function exitsOf({ exits }: ReportData): Counts {
  const counts: Counts = {};
  for (const { layer, vcpu, reason, count } of exits) {
    const key = `${layer} ${vcpu} ${reason}`;
    counts[key] = (counts[key] ?? 0) + count;
  }
  return counts;
}

function expectedLoss({ lost_lines }: Expected): ReportData['lost'] {
  const lost = lost_lines.map((line) => /\[(?:(\d+) )?EVENTS DROPPED\]/.exec(line));
  return {
    events: lost.reduce((sum, match) => sum + Number(match?.[1] ?? 0), 0),
    unknown_gaps: lost.filter((match) => match?.[1] === undefined).length,
  };
}

for (const [name, want] of GOOD)
  test(`report counts ${name} as trace-cmd does`, (t) => {
    const got = reportOf(traceDat(t, name));
    assert.deepEqual(
      got.tracepoints,
      sums(want.events, (event) => (event === 'print' ? 'tracing_mark_write' : event)),
    );
    assert.deepEqual(exitsOf(got), expectedExits(want));
    assert.deepEqual(got.lost, expectedLoss(want));
    assert.deepEqual(got.malformed, {});
    const markers = Object.values(want.qemu_markers ?? {}).reduce((sum, count) => sum + count, 0);
    assert.deepEqual(got.qemu_events, markers === 0 ? {} : { kvm_run_exit: markers });
    const ports = got.io.filter(({ bus }) => bus === 'pio').reduce((sum, { count }) => sum + count, 0);
    assert.equal(ports, want.events.kvm_pio);
  });

test('report tells VMs apart by a saved /proc', (t) => {
  const tree = new ProcTree(t);
  const qemu = (name: string) => ['/usr/bin/qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`];
  tree.put({ pid: 225, comm: 'qemu-system-x86', args: qemu('vm-a'), threads: [{ tid: 231, comm: 'CPU 0/KVM' }] });
  const threads = [229, 230].map((tid, vcpu) => ({ tid, comm: `CPU ${vcpu}/KVM` }));
  tree.put({ pid: 226, comm: 'qemu-system-x86', args: qemu('vm-b'), threads });
  const { exits } = reportOf('--path.procfs', tree.root, traceDat(t, 'v7-two-vms-6.12.dat'));
  const io = exits.filter(({ reason }) => reason === 'KVM_EXIT_IO');
  // What the guests do, by construction.
  assert.deepEqual(
    io.map(({ vm, vcpu, count }) => [vm, vcpu, count]),
    [
      ['vm-a', '0', 281],
      ['vm-b', '0', 151],
      ['vm-b', '1', 70],
    ],
  );
});

test('report takes durations from the TSC if the file says how fast it is', (t) => {
  const { durations } = reportOf(traceDat(t, 'v7-tsc2nsec-6.1.dat'));
  const io = durations.find(({ layer, reason }) => layer === 'qemu' && reason === 'KVM_EXIT_IO');
  // `trace-cmd report -t`: from each kvm_userspace_exit to the thread's next kvm_entry.
  assert.equal(io?.count, 280);
  assert.deepEqual(
    [io.sum_seconds, io.min_seconds, io.max_seconds].map((seconds) => Math.round(seconds * 1e6)),
    [3260, 7, 348],
  );
});

test('report reads a trace.dat that is packed with gzip or zstd', (t) => {
  const want = reportOf(traceDat(t, 'v7-zstd-6.1.dat'));
  assert.deepEqual(reportOf(fixture('trace-dat/v7-zstd-6.1.dat')), want);
  const path = join(temporaryFolder(t, 'trace-dat'), 'x.gz');
  writeFileSync(path, gzipSync(readFixture('trace-dat/v7-zstd-6.1.dat').subarray(0, -1)));
  assert.deepEqual(reportOf(path).exits, want.exits);
});

/** The pages of svm/two-vms-6.12, in several kinds of files. */
const PAGES: TraceDatPages = {
  cpus: ['cpu0', 'cpu1'].map((cpu) => pagesOf(readFixture(`svm/two-vms-6.12/raw/${cpu}.raw`))),
};
const PARTS = {
  headerPage: headerPage('svm/two-vms-6.12'),
  ftrace: [],
  systems: { kvm: [...formatTexts('svm/two-vms-6.12').values()] },
};

function pagesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / 4096 }, (_, i) => bytes.subarray(4096 * i, 4096 * (i + 1)));
}

function write(t: TestContext, bytes: Uint8Array): string {
  const path = join(temporaryFolder(t, 'trace-dat'), 'trace.dat');
  writeFileSync(path, bytes);
  return path;
}

test('report counts the same pages the same in every kind of file', (t) => {
  const { exits } = readJson<ReportData>('svm/two-vms-6.12/expected.json');
  const want = sums(
    Object.fromEntries(exits.map(({ vm, layer, reason, vcpu, count }) => [`${layer} ${reason} ${vm} ${vcpu}`, count])),
    (key) => key.split(' ').slice(0, 2).join(' '),
  );
  const files = [
    buildVersion6({ ...PARTS, buffers: [PAGES] }),
    buildVersion7({ ...PARTS, buffers: [PAGES] }),
    buildVersion7({ ...PARTS, buffers: [PAGES] }, 'zlib'),
    // Each CPU's pages in a buffer of its own: the threads move between them.
    buildVersion6({ ...PARTS, buffers: PAGES.cpus.map((pages, i) => ({ name: i === 0 ? '' : 'b', cpus: [pages] })) }),
  ];
  for (const file of files) {
    const got = reportOf(write(t, file));
    const counts: Counts = {};
    for (const { layer, reason, count } of got.exits)
      counts[`${layer} ${reason}`] = (counts[`${layer} ${reason}`] ?? 0) + count;
    assert.deepEqual(counts, want);
  }
});

test('report takes the VMs from the notes of record', (t) => {
  const qemu = { startTime: 1, startSeconds: 1, uid: 0, vmm: 'qemu', uuid: '' };
  const lines = [
    { ...qemu, pid: 178, name: 'vm-a', threads: { 187: 'CPU 0/KVM', 188: 'CPU 1/KVM' } },
    { ...qemu, pid: 179, name: 'vm-b', threads: { 186: 'CPU 0/KVM' } },
    { statistics: 'start', vm: '178-11', values: { exits: 1 } },
  ];
  const notes = Buffer.from(
    `Notes of kvm-exit-exporter\n${lines.map((line) => `${JSON.stringify(line)}\n`).join('')}\0`,
  );
  const path = write(t, buildVersion6({ ...PARTS, buffers: [PAGES], options: [[2, notes]] }));
  assert.deepEqual(reportOf(path).exits, readJson<ReportData>('svm/two-vms-6.12/expected.json').exits);
  const { status, stderr } = runAgent('report', path, fixture('svm/two-vms-6.12'));
  assert.equal(status, 2);
  assert.match(stderr, /trace\.dat and .*two-vms-6\.12\/proc: recordings of two hosts, or of two times/);
});

test('report warns if two buffers hold the same events of exits', (t) => {
  const [first = [], second = []] = PAGES.cpus;
  const stderrOf = (buffers: readonly TraceDatPages[]) =>
    runAgent('report', write(t, buildVersion7({ ...PARTS, buffers: [...buffers] }, 'zlib'))).stderr;
  const other = { name: 'other', clock: 'local' };
  const warning =
    /trace\.dat: has .*kvm_userspace_exit in several of its buffers; an exit that two of them recorded is/;
  assert.match(stderrOf([PAGES, { ...other, cpus: [first, second] }]), warning);
  assert.doesNotMatch(stderrOf([PAGES, { ...other, cpus: [[], []] }]), /several of its buffers/);
});

test('report counts buffers with different clocks, but pairs nothing across them', (t) => {
  const [first = [], second = []] = PAGES.cpus;
  const parts = (clock: string) => ({
    ...PARTS,
    buffers: [
      { name: '', clock: 'local', cpus: [first, []] },
      { name: 'b', clock, cpus: [[], second] },
    ],
  });
  const [same, apart] = ['local', 'mono'].map((clock) => reportOf(write(t, buildVersion7(parts(clock)))));
  assert.deepEqual(apart?.exits, same?.exits);
  const causes = (data: ReportData | undefined) => data?.causes.reduce((sum, { count }) => sum + count, 0) ?? 0;
  assert.ok(causes(apart) > 0 && causes(apart) <= causes(same));
});

test('report counts what is left of a trace.dat that is cut or damaged, and says what is missing', (t) => {
  const cut6 = runAgent('report', '--format=json', write(t, readFixture('trace-dat/v6-6.12.dat').subarray(0, 137_625)));
  assert.match(cut6.stderr, /trace\.dat: ends early: 58,983 bytes of pages are missing\n/);
  // The pages before the cut: 2 of CPU 0, and 8 whole and a part of a ninth of CPU 1.
  const got6 = JSON.parse(cut6.stdout) as ReportData;
  assert.deepEqual(got6.malformed, { truncated: 1 });
  assert.ok((got6.tracepoints.kvm_exit ?? 0) > 100);

  const cut7 = runAgent(
    'report',
    '--format=json',
    write(t, readFixture('trace-dat/v7-zstd-6.1.dat').subarray(0, 26_900)),
  );
  assert.match(cut7.stderr, /trace\.dat: its end is missing; what is there is counted\n/);
  assert.ok(((JSON.parse(cut7.stdout) as ReportData).tracepoints.kvm_exit ?? 0) > 100);

  const damaged = readFixture('trace-dat/v7-zstd-6.1.dat').fill(0x55, 18_000, 18_064);
  const gap = runAgent('report', '--format=json', write(t, damaged));
  assert.match(gap.stderr, /damaged pages: 1 of its chunks could not be unpacked and are left out\n/);
  const { tracepoints, lost } = JSON.parse(gap.stdout) as ReportData;
  // All of CPU 1 is there, and none of CPU 0, which has one chunk.
  const want = EXPECTED['v7-zstd-6.1.dat'] as Expected & { events_by_cpu: Counts };
  assert.equal(
    Object.values(tracepoints).reduce((a, b) => a + b),
    want.events_by_cpu['001'],
  );
  assert.deepEqual(lost, { events: 0, unknown_gaps: 1 });
});

test('report asks for the formats if those in the file are damaged', (t) => {
  const systems = { kvm: ['no format'.repeat(1 << 18)] };
  const path = write(t, buildVersion7({ ...PARTS, systems, buffers: [PAGES] }));
  const { status, stderr } = runAgent('report', path);
  assert.equal(status, 2);
  assert.match(
    stderr,
    /trace\.dat: damaged in its event formats: .*; give the tracefs of that host, or a copy of it: --path\.tracefs=DIR\n$/,
  );
  const got = reportOf('--path.tracefs', fixture('svm/two-vms-6.12/tracefs'), path);
  assert.deepEqual(got.tracepoints, reportOf(fixture('svm/two-vms-6.12')).tracepoints);
});

test('report reads the pages that a killed trace-cmd leaves behind', (t) => {
  const folder = temporaryFolder(t, 'killed');
  const tracefs = fixture('svm/two-vms-6.12/tracefs');
  const files = ['cpu0', 'cpu1'].map((cpu) => {
    const path = join(folder, `trace.dat.${cpu}`);
    writeFileSync(path, readFixture(`svm/two-vms-6.12/raw/${cpu}.raw`));
    return path;
  });
  const { status, stderr } = runAgent('report', ...files);
  assert.equal(status, 2);
  assert.match(stderr, /trace\.dat\.cpu0 \.\.\.: pages of a recording that was killed.*--path\.tracefs=DIR\n$/);
  const want = reportOf('--path.tracefs', tracefs, fixture('svm/two-vms-6.12')).exits;
  const without = (exits: ReportData['exits']) => exits.map(({ layer, reason, count }) => [layer, reason, count]);
  for (const paths of [files, files.slice(0, 1), [join(folder, 'trace.dat')]]) {
    const got = reportOf('--path.tracefs', tracefs, '--path.procfs', fixture('svm/two-vms-6.12/proc'), ...paths);
    assert.deepEqual(without(got.exits), without(want));
  }
});
