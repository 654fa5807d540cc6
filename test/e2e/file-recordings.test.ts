/** The whole program on real recordings, against counts made by independent tools: see test/fixtures/README.md. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Counts = Record<string, number>;

interface TextExpectation {
  events: Counts;
  kvm_userspace_exit_by_tid: Counts;
  lost_lines: [number, number][];
  lost_total: number;
}

interface QemuExpectation {
  events: Counts;
  kvm_run_exit_by_cpu_reason: Counts;
  dropped_sum?: number;
}

const REASON_NUMBERS: Record<string, string> = {
  KVM_EXIT_IO: '2',
  KVM_EXIT_HLT: '5',
  KVM_EXIT_MMIO: '6',
  KVM_EXIT_INTERNAL_ERROR: '17',
};

/** Exits to userspace, keyed as in the expectations: `cpu0,reason2`. */
function byCpuReason({ exits }: ReportData): Counts {
  const qemu = exits.filter(({ layer, reason }) => layer === 'qemu' && reason.startsWith('KVM_EXIT'));
  return Object.fromEntries(
    qemu.map(({ vcpu, reason, count }) => [`cpu${vcpu},reason${REASON_NUMBERS[reason]}`, count]),
  );
}

/** QEMU's simpletrace reader lists dropped-events records as an event; the report counts them as loss. */
function withoutDropped({ dropped: _, ...events }: Counts): Counts {
  return events;
}

const BY_VM = [
  { name: 'ftrace-text/c1-top-notgid-all', proc: 'fixture/proc', expected: 'exits.json' },
  { name: 'ftrace-text/c3-instance-copymarker-tgid', proc: 'fixture/proc', expected: 'exits.json' },
  { name: 'svm/two-vms-6.12', proc: 'proc', expected: 'expected.json' },
];

for (const { name, proc, expected } of BY_VM) {
  test(`report counts ${name} by VM, vCPU, layer and reason`, () => {
    const want = readJson<ReportData & { lost: number }>(`${name}/${expected}`);
    const got = reportOf('--path.procfs', fixture(`${name}/${proc}`), fixture(`${name}/trace_pipe.txt`));
    assert.deepEqual(got.exits, want.exits);
    assert.deepEqual(got.tracepoints, want.tracepoints);
    assert.deepEqual(got.lost, { events: want.lost, unknown_gaps: 0 });
    assert.deepEqual(got.malformed, {});
  });
}

/** The demo's recording: all of it, counted by the hist triggers of its host, and the cut, counted by awk. */
for (const [name, recording, expected] of [
  ['the recording that the demo is cut from', fixture('demo/full/trace_pipe.txt'), 'demo/full/expected.json'],
  ["the demo's recording", `${ROOT}/deploy/demo/recording/trace_pipe.txt.gz`, 'demo/expected.json'],
] as const) {
  test(`report counts ${name} as other tools did`, () => {
    const want = readJson<ReportData>(expected);
    const got = reportOf('--path.procfs', `${ROOT}/deploy/demo/recording/proc`, recording);
    assert.deepEqual(got.exits, want.exits);
    assert.deepEqual(got.tracepoints, want.tracepoints);
  });
}

test("the demo's QEMU logs agree with the kernel's trace", () => {
  const { exits, tracepoints, qemu_logs } = readJson<ReportData & { qemu_logs: Record<string, Counts> }>(
    'demo/expected.json',
  );
  for (const [vm, want] of Object.entries(qemu_logs))
    assert.deepEqual(reportOf(`${ROOT}/deploy/demo/recording/${vm}.log.gz`).qemu_events, want);
  // QEMU and the kernel wrote these independently of each other.
  for (const { vm, count } of exits.filter(({ layer }) => layer === 'qemu'))
    assert.equal(count, qemu_logs[vm]?.kvm_run_exit, vm);
  assert.equal(tracepoints.kvm_msi_set_irq, qemu_logs['web-1']?.virtio_notify_irqfd);
});

test('report counts the events of a recording, and those that it lost', () => {
  const { text } = readJson<{ text: TextExpectation }>('ftrace-text/c5-lost/expected.json');
  const got = reportOf(fixture('ftrace-text/c5-lost/trace_pipe.txt'));
  assert.deepEqual(got.tracepoints, text.events);
  assert.deepEqual(got.lost, { events: text.lost_total, unknown_gaps: 0 });
});

test('report takes VM and vCPU from the recording if there is no /proc', () => {
  const vcpus = (data: ReportData) => [...new Set(data.exits.map(({ vm, vcpu }) => `${vm}/${vcpu}`))];
  assert.deepEqual(vcpus(reportOf(fixture('ftrace-text/c3-instance-copymarker-tgid/trace_pipe.txt'))), [
    '7544/0',
    '7544/1',
    '7545/0',
  ]);
  assert.deepEqual(vcpus(reportOf(fixture('ftrace-text/c1-top-notgid-all/trace_pipe.txt'))), [
    'CPU 0/KVM-7520/0',
    'CPU 0/KVM-7521/0',
    'CPU 1/KVM-7522/1',
  ]);
});

for (const run of ['e2-mix', 'e3-hlt-irqchip-off', 'e6-internal-error']) {
  const want = readJson<{
    by_construction_kvm_run_exit: Counts;
    simple_backend: QemuExpectation;
    text: TextExpectation;
  }>(`exact/${run}/expected.json`);
  for (const file of ['trace_pipe.txt', 'log.txt', 'trace-simple']) {
    test(`report of ${file} of ${run} equals what the guest's source does`, () => {
      const got = reportOf(fixture(`exact/${run}/${file}`));
      assert.deepEqual(
        byCpuReason(got),
        want.by_construction_kvm_run_exit ?? want.simple_backend.kvm_run_exit_by_cpu_reason,
      );
      assert.deepEqual(got.qemu_events, want.simple_backend.events);
    });
  }
  test(`report of all records of ${run} together counts each exit once`, () => {
    const files = ['trace_pipe.txt', 'log.txt', 'trace-simple'].map((file) => fixture(`exact/${run}/${file}`));
    const exits = Object.values(want.text.kvm_userspace_exit_by_tid).reduce((sum, count) => sum + count, 0);
    const [, , simple = ''] = files;
    const got = reportOf(fixture(`exact/${run}/trace_pipe.txt`), simple);
    assert.equal(
      got.exits.reduce((sum, { count }) => sum + count, 0),
      exits,
    );
  });
}

const LOGS = [
  'b1-plain/log.txt',
  'b2-timestamp/log.txt',
  'b4-many-plain/log.txt',
  'b5-rotated/log.1',
  'b5-rotated/log.2',
  'b5-rotated/log.3',
  'b6-mixed-lines/log.txt',
];

for (const file of LOGS) {
  test(`report counts qemu-log/${file}`, () => {
    const want = readJson<QemuExpectation>(`qemu-log/${file.replace(/([^/]+)$/, 'expected-$1.json')}`);
    const got = reportOf(fixture(`qemu-log/${file}`));
    assert.deepEqual(got.qemu_events, want.events);
    assert.deepEqual(byCpuReason(got), want.kvm_run_exit_by_cpu_reason);
    assert.deepEqual(got.malformed, {});
  });
}

test('report sums the files of a rotated log', () => {
  const got = reportOf(...['log.1', 'log.2', 'log.3'].map((file) => fixture(`qemu-log/b5-rotated/${file}`)));
  const want = ['1', '2', '3'].map(
    (n) => readJson<QemuExpectation>(`qemu-log/b5-rotated/expected-log.${n}.json`).events.kvm_run_exit ?? 0,
  );
  assert.deepEqual(got.exits, [
    { vm: 'log', vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: want.reduce((a, b) => a + b) },
  ]);
});

const SIMPLE: [file: string, expected: string][] = [
  ['qemu-simple/a1-seabios-2vcpu/trace-a1', 'qemu-simple/a1-seabios-2vcpu/expected.json'],
  ['qemu-simple/a2-exact-2vcpu/trace-a2', 'qemu-simple/a2-exact-2vcpu/expected.json'],
  ['qemu-simple/a5-dropped/trace-a5', 'qemu-simple/a5-dropped/expected.json'],
  ['qemu-simple/a7-many-events/trace-a7', 'qemu-simple/a7-many-events/expected.json'],
  ['qemu-log/b4-many-plain/trace-simple', 'qemu-log/b4-many-plain/expected-trace-simple.json'],
  ['virtio/tcg-linux-iothread/trace-simple', 'virtio/tcg-linux-iothread/expected-simple.json'],
  ...['t-at-boundary', 't-header-only', 't-in-last-arg', 't-in-mapping', 't-in-record-header', 't-in-record-type'].map(
    (cut): [string, string] => [`qemu-simple/a4-truncated/${cut}`, `qemu-simple/a4-truncated/${cut}.expected.json`],
  ),
];

for (const [file, expected] of SIMPLE) {
  test(`report counts ${file} as QEMU's own reader does`, () => {
    const want = readJson<QemuExpectation & { end_of_last_whole_record: number; file_bytes: number }>(expected);
    const got = reportOf(fixture(file));
    assert.deepEqual(got.qemu_events, withoutDropped(want.events));
    assert.deepEqual(byCpuReason(got), want.kvm_run_exit_by_cpu_reason);
    assert.equal(got.lost.events, want.dropped_sum ?? 0);
    assert.equal(got.malformed.truncated ?? 0, want.end_of_last_whole_record < want.file_bytes ? 1 : 0);
  });
}

for (const run of ['kvm-seabios-ioeventfd', 'kvm-seabios-no-ioeventfd']) {
  const want = readJson<{ log_events: Counts; log_kvm_run_exit: Counts; simple: QemuExpectation }>(
    `virtio/${run}/expected.json`,
  );
  for (const file of ['log.txt', 'trace-simple', 'trace_pipe.txt']) {
    test(`report counts ${file} of virtio/${run}`, () => {
      const got = reportOf(fixture(`virtio/${run}/${file}`));
      assert.deepEqual(got.qemu_events, want.simple.events);
      assert.deepEqual(byCpuReason(got), want.log_kvm_run_exit);
    });
  }
}

const VARIANTS = readJson<{
  text: Record<string, { events?: Counts; lost_events?: number; exit_vcpu_reason?: Counts; userspace_reason?: Counts }>;
}>('text-variants/expected.json').text;

for (const [file, want] of Object.entries(VARIANTS)) {
  if (want.events === undefined) continue;
  test(`report reads text-variants/${file}`, () => {
    const got = reportOf(fixture(`text-variants/${file}`));
    assert.deepEqual(got.tracepoints, want.events);
    assert.equal(got.lost.events, want.lost_events);
    assert.deepEqual(got.malformed, {});
    const kvm = got.exits
      .filter(({ layer }) => layer === 'kvm')
      .map(({ vcpu, reason, count }) => [`${vcpu} | ${reason}`, count]);
    assert.deepEqual(Object.fromEntries(kvm), want.exit_vcpu_reason ?? {});
  });
}

// All variants are of one run, so they begin with the same 300 events. No other tool reads the layout of these two.
for (const file of ['trace_pipe.opt-latency-format.txt', 'trace_pipe.opt-nocontext-info.txt']) {
  test(`report reads text-variants/${file}`, () => {
    assert.deepEqual(
      reportOf(fixture(`text-variants/${file}`)).tracepoints,
      VARIANTS['trace_pipe.clk-local.txt']?.events,
    );
  });
}

test('report unpacks zstd, as far as the file goes', (t) => {
  const want = VARIANTS['trace.clk-mono.txt']?.events;
  assert.deepEqual(reportOf(fixture('zstd/text.level-19.zst')).tracepoints, want);
  const cut = join(temporaryFolder(t, 'zstd'), 'cut.zst');
  writeFileSync(cut, readFixture('zstd/text.window-1-KiB.zst').subarray(0, 2000));
  const { tracepoints, malformed } = reportOf(cut);
  assert.ok((tracepoints.kvm_entry ?? 0) > 10);
  assert.deepEqual(malformed, { truncated: 1 });
});

test('report says what to do if the recording was made without event names', () => {
  for (const file of ['trace.opt-raw.txt', 'trace_pipe.opt-raw.txt']) {
    const { status, stderr } = runAgent('report', fixture(`text-variants/${file}`));
    assert.equal(status, 2);
    assert.match(stderr, /trace option raw.*noraw > trace_options`\n$/);
  }
});

test('report reads perf script', () => {
  const reasons = (text: string) =>
    Object.fromEntries(
      [...text.matchAll(/^\s*(\S.*?\S)\s+(\d+)\s+[\d.]+%/gm)].map((match) => [match[1], Number(match[2])]),
    );
  const want = reasons(readFixtureText('perf/perf-report.vmexit.txt'));
  const got: Counts = {};
  for (const { reason, count } of reportOf(fixture('perf/perf-script.txt')).exits)
    got[reason] = (got[reason] ?? 0) + count;
  // perf counts an exit only when it sees the next entry, so the last exit of each vCPU may be missing.
  for (const [reason, count] of Object.entries<number>(want))
    assert.ok(Math.abs((got[reason] ?? 0) - count) <= 2, `${reason}: ${got[reason]} and perf ${count}`);
  assert.ok(Object.keys(want).length > 5);
});

function readFixtureText(path: string): string {
  return readFixture(path).toString('utf8');
}
