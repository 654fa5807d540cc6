/** What `report` prints: the head, the order of VMs and rows, CSV and JSON. Expected figures are worked out by hand. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TraceText } from '../support/trace/trace-text.js';

const A = { pid: 1000 };
const A1 = { pid: 1000, vcpu: 1, cpu: 1 };
const B = { pid: 2000, cpu: 2 };

/**
 * Four seconds, from 10 s to 14 s. VM 1000 has two vCPUs and 6 exits, 2 of them to QEMU: 800 ms in KVM and 1200 ms in
 * QEMU. VM 2000 has one vCPU and 4 exits, 3 of them to QEMU: 40 ms in KVM and 30 ms in QEMU.
 */
const TWO_VMS = new TraceText()
  .entry(A, 10_000_000)
  .out(A, 10_000_000, 0x80, 100_000, 600_000)
  .entry(B, 10_900_000)
  .out(B, 10_900_000, 0x70, 10_000, 10_000)
  .entry(A1, 11_000_000)
  .out(A1, 11_000_000, 0x80, 100_000, 600_000)
  .out(B, 11_900_000, 0x70, 10_000, 10_000)
  .handled(A, 12_000_000, 'msr', 150_000)
  .handled(A, 12_200_000, 'msr', 150_000)
  .handled(A, 12_400_000, 'msr', 150_000)
  .handled(A, 12_600_000, 'cpuid', 150_000)
  .out(B, 12_900_000, 0x71, 10_000, 10_000)
  .handled(B, 13_990_000, 'cpuid', 10_000);

function saved(t: TestContext, text: TraceText | string, name = 'trace.txt'): string {
  const path = join(temporaryFolder(t, 'views'), name);
  writeFileSync(path, String(text));
  return path;
}

function print(...args: string[]): string {
  const { status, stdout, stderr } = runAgent('report', ...args);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return stdout;
}

/** The cells of the lines of a table that follow its heading, up to an empty line. */
function table(text: string, heading: RegExp): string[][] {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => heading.test(line)) + 1;
  assert.ok(from > 0, text);
  const rows = lines.slice(from, lines.indexOf('', from));
  return rows.map((line) => line.split(/ {2,}/));
}

const VM_TABLE = /^VM +vCPU +exits to KVM/;
const REASONS = /^VM +layer +reason +exits +per s/;

test('the head says how long the recording is, how often VMs exit, and which VM is the worst', (t) => {
  assert.deepEqual(print(saved(t, TWO_VMS)).split('\n').slice(0, 3), [
    '4 s: 10 VM exits (2.5/s), 50.0 % of them went on to QEMU (1.25/s).',
    'Most exits to QEMU: 2000, 0.75/s; 100.0 % of them KVM_EXIT_IO.',
    '',
  ]);
});

test('the worst VM comes first, and its total before its vCPUs', (t) => {
  assert.deepEqual(table(print(saved(t, TWO_VMS)), VM_TABLE), [
    // 70 ms of 4 s; 2 s of two vCPUs' 8 s.
    ['2000', '0', '4', '1', '3', '0.75', '75.0 %', '1.8 %'],
    ['1000', 'all', '6', '1.5', '2', '0.5', '33.3 %', '25.0 %'],
    ['1000', '0', '5', '1.25', '1', '0.25', '20.0 %', '32.5 %'],
    ['1000', '1', '1', '0.25', '1', '0.25', '100.0 %', '17.5 %'],
    ['all', 'all', '10', '2.5', '5', '1.25', '50.0 %', '17.3 %'],
  ]);
});

for (const [order, vms, worst] of [
  ['qemu', ['2000', '1000'], 'Most exits to QEMU: 2000, 0.75/s; 100.0 % of them KVM_EXIT_IO.'],
  [
    'time',
    ['1000', '2000'],
    "Most time lost: 1000, 25.0 % of its vCPUs' time; most of it by KVM_EXIT_IO (layer qemu).",
  ],
  ['share', ['2000', '1000'], 'Largest share reaching QEMU: 2000, 75.0 %; 100.0 % of them KVM_EXIT_IO.'],
  ['exits', ['1000', '2000'], 'Most exits: 1000, 1.5/s; 50.0 % of them msr.'],
  ['name', ['1000', '2000'], ''],
] as const)
  test(`--sort=${order}`, (t) => {
    const text = print('--sort', order, saved(t, TWO_VMS));
    assert.equal(text.split('\n')[1], worst);
    for (const heading of [VM_TABLE, REASONS, /^VM +layer +access/])
      assert.deepEqual(
        [...new Set(table(text, heading).map(([vm]) => vm))].filter((vm) => vm !== 'all'),
        vms,
      );
  });

test('reasons of QEMU come first, and the most frequent one of each layer', (t) => {
  assert.deepEqual(table(print(saved(t, TWO_VMS)), REASONS), [
    ['2000', 'qemu', 'KVM_EXIT_IO', '3', '0.75', '100.0 %'],
    ['2000', 'kvm', 'io', '3', '0.75', '75.0 %'],
    ['2000', 'kvm', 'cpuid', '1', '0.25', '25.0 %'],
    ['1000', 'qemu', 'KVM_EXIT_IO', '2', '0.5', '100.0 %'],
    ['1000', 'kvm', 'msr', '3', '0.75', '50.0 %'],
    ['1000', 'kvm', 'io', '2', '0.5', '33.3 %'],
    ['1000', 'kvm', 'cpuid', '1', '0.25', '16.7 %'],
  ]);
});

test('--top limits the VMs, and the rows of each', (t) => {
  const text = print('--top=1', saved(t, TWO_VMS));
  assert.deepEqual(table(text, VM_TABLE), [
    ['2000', '0', '4', '1', '3', '0.75', '75.0 %', '1.8 %'],
    ['all', 'all', '10', '2.5', '5', '1.25', '50.0 %', '17.3 %'],
    ['... and 2 more (--top shows more, --format json all)'],
  ]);
  assert.deepEqual(table(text, REASONS), [
    ['2000', 'qemu', 'KVM_EXIT_IO', '3', '0.75', '100.0 %'],
    ['2000', 'kvm', 'io', '3', '0.75', '75.0 %'],
    ['... and 5 more (--top shows more, --format json all)'],
  ]);
});

test('--vm reports the VMs that match', (t) => {
  const path = saved(t, TWO_VMS);
  const text = print('--vm=1*', path);
  assert.match(text, /^4 s: 6 VM exits \(1\.5\/s\), 33\.3 % of them/);
  assert.doesNotMatch(text, /2000/);
  const { exits, totals, io } = reportOf('--vm=1???', '--vm=nothing', path);
  assert.deepEqual([...new Set([...exits, ...totals, ...io].map(({ vm }) => vm))], ['1000']);
  assert.match(print('--format=prometheus', '--vm=2000', path), /^kvm_exits_total\{vm="2000"/m);
  assert.doesNotMatch(print('--format=prometheus', '--vm=2000', path), /vm="1000"/);
});

test('--vm names the VMs of the recording if none matches', (t) => {
  const { status, stdout, stderr } = runAgent('report', '--vm=web-*', saved(t, TWO_VMS));
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
  assert.equal(stderr, 'kvm-exit-exporter: --vm=web-*: no such VM in this recording; it has 1000, 2000\n');
});

test('a recording without times has no length and no rates', (t) => {
  const text = readFixture('text-variants/trace_pipe.clk-counter.txt');
  const { stdout } = runAgent('report', saved(t, text.toString('latin1')));
  assert.match(stdout, /^Length unknown \(no times\): \d+ VM exits, \d/);
  const { recording, total } = reportOf(fixture('text-variants/trace_pipe.clk-counter.txt'));
  assert.deepEqual(recording, { seconds: null, start_seconds: null, end_seconds: null });
  assert.deepEqual([total.kvm_exits_per_second, total.time_outside_guest], [null, null]);
  assert.ok((total.kvm_exits ?? 0) > 0);
});

test('figures of a layer that was not recorded are unknown', (t) => {
  const onlyKvm = new TraceText().exit(A, 1_000_000, 'hlt').exit(A, 2_000_000, 'hlt');
  const path = saved(t, onlyKvm);
  const [row] = table(print(path), VM_TABLE);
  assert.deepEqual(row, ['1000', '0', '2', '2', 'unknown', 'unknown', 'unknown', 'unknown']);
  const [totals] = reportOf(path).totals;
  assert.deepEqual(totals, {
    vm: '1000',
    vcpus: 1,
    kvm_exits: 2,
    kvm_exits_per_second: 2,
    qemu_exits: null,
    qemu_exits_per_second: null,
    share_reaching_qemu: null,
    time_outside_guest: null,
    time_in_qemu: null,
  });
  const log = saved(t, '1001@100.000000:kvm_run_exit cpu_index 0, reason 2\n'.repeat(3), 'vm-a.log');
  assert.deepEqual(table(print(log), VM_TABLE)[0], [
    'vm-a',
    '0',
    'unknown',
    'unknown',
    '3',
    'unknown',
    'unknown',
    'unknown',
  ]);
});

test('the length is that of the text', () => {
  for (const path of ['svm/two-vms-6.12/trace_pipe.txt', 'ftrace-text/c5-lost/trace_pipe.txt']) {
    const times = [
      ...readFixture(path)
        .toString('latin1')
        .matchAll(/ (\d+\.\d{6}): /g),
    ].map(([, time]) => Number(time));
    const { recording } = reportOf(fixture(path));
    const [first, last] = [Math.min(...times), Math.max(...times)];
    assert.deepEqual([recording.start_seconds, recording.end_seconds], [first, last]);
    assert.ok(Math.abs((recording.seconds ?? 0) - (last - first)) < 1e-9);
  }
});

test('the pages of a recording are as long as its text', () => {
  const text = reportOf(fixture('svm/two-vms-6.12/trace_pipe.txt')).recording.seconds ?? 0;
  const pages = reportOf(fixture('svm/two-vms-6.12')).recording.seconds ?? 0;
  // Each tracing instance stamps events by itself, the second one of the two a little later.
  assert.ok(Math.abs(text - pages) < 1e-3, `${text} and ${pages}`);
});

test('several files are as long as what they cover together', (t) => {
  const early = saved(t, new TraceText().handled(A, 10_000_000, 'hlt', 2_000_000));
  const overlapping = saved(t, new TraceText().handled(A1, 11_000_000, 'hlt', 2_000_000));
  const late = saved(t, new TraceText().handled(A, 20_000_000, 'hlt', 500_000));
  const { seconds, start_seconds, end_seconds } = reportOf(late, early, overlapping).recording;
  assert.deepEqual([seconds, start_seconds, end_seconds], [3.5, 10, 20.5]);
});

test('traces of one time on several clocks are not added up', (t) => {
  const trace = saved(t, new TraceText().handled(A, 10_000_000, 'hlt', 2_000_000));
  const log = saved(t, `${[0, 1].map((s) => `1001@179539535${s}.0:kvm_run_exit cpu_index 0, reason 2\n`).join('')}`);
  assert.equal(reportOf(trace, log).recording.seconds, 2);
});

const schema = JSON.parse(readFileSync(join(ROOT, 'docs/report.schema.json'), 'utf8'));
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });

for (const path of [
  'svm/two-vms-6.12',
  'svm/two-vms-6.12/trace_pipe.txt',
  'ftrace-text/c5-lost/trace_pipe.txt',
  'text-variants/trace_pipe.clk-counter.txt',
  'qemu-log/b4-many-plain/log.txt',
  'virtio/kvm-seabios-ioeventfd/trace-simple',
  'qemu-simple/a4-truncated/t-in-last-arg',
])
  test(`the JSON report of ${path} fits docs/report.schema.json`, () => {
    const report = reportOf(fixture(path));
    assert.ok(ajv.validate(schema, report), JSON.stringify(ajv.errors));
    for (const { buckets } of report.durations) assert.equal(buckets.length, report.duration_bucket_seconds.length);
  });

/** Splits CSV without line ends in its fields. */
function parseCsv(text: string): Record<string, string>[] {
  const rows = text
    .trimEnd()
    .split('\n')
    .map((line) => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)])
    .map((fields) => fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ''));
  const [heading = [], ...lines] = rows;
  for (const line of lines) assert.equal(line.length, heading.length);
  return lines.map((line) => Object.fromEntries(line.map((field, column) => [heading[column] ?? '', field])));
}

/** A row of the JSON report, with the entries of `changes` as columns. */
function flat({ changes, ...row }: Record<string, unknown>): Record<string, unknown> {
  const texts = Object.entries(changes ?? {}).map(([who, what]) => [`change_${who}`, what]);
  return { ...row, ...Object.fromEntries(texts) };
}

test('CSV has every section of the JSON report, under the same names', (t) => {
  const path = saved(t, TWO_VMS);
  const report: Record<string, unknown> = { ...reportOf(path) };
  const rows = parseCsv(print('--format=csv', path));
  for (const [section, content] of Object.entries(report)) {
    if (!Array.isArray(content) || section === 'duration_bucket_seconds') continue;
    const own = rows.filter((row) => row.section === section);
    assert.equal(own.length, content.length, section);
    for (const [index, row] of content.entries())
      for (const [column, value] of Object.entries(flat(row)))
        if (column !== 'buckets') assert.equal(own[index]?.[column], String(value ?? ''), `${section} ${column}`);
  }
  const [recording] = rows.filter(({ section }) => section === 'recording');
  assert.deepEqual([recording?.seconds, recording?.vm, recording?.count], ['4', '', '']);
  assert.deepEqual(
    rows.filter(({ section }) => section === 'tracepoints').map((row) => [row.tracepoint, row.count]),
    [
      ['kvm_entry', '13'],
      ['kvm_exit', '10'],
      ['kvm_pio', '5'],
      ['kvm_userspace_exit', '5'],
    ],
  );
  // 10 ms are below 32.768 ms and above 8.192 ms.
  const buckets = rows.filter(({ section, vm, layer }) => `${section} ${vm} ${layer}` === 'duration_buckets 2000 qemu');
  assert.deepEqual(
    buckets.map((row) => [Number(row.le_seconds), row.count]).filter(([edge]) => Number(edge) > 0.008),
    [
      [0.008192, '0'],
      [0.032768, '3'],
      [0.131072, '3'],
      [0.524288, '3'],
      [2.097152, '3'],
    ],
  );
});

test('CSV is empty where a figure is not known', (t) => {
  const path = saved(t, new TraceText().exit(A, 1_000_000, 'hlt'));
  const [totals] = parseCsv(print('--format=csv', path)).filter(({ section }) => section === 'totals');
  assert.deepEqual([totals?.kvm_exits, totals?.kvm_exits_per_second, totals?.qemu_exits], ['1', '', '']);
});

test('the report ends with what to change, and what that costs', (t) => {
  // 1,000 accesses to the HPET in 1 s; each takes 0.1 ms until KVM_RUN returns, and 0.4 ms from there to the entry.
  const guest = new TraceText();
  for (let at = 10_000_000; at < 11_000_000; at += 1000) guest.out(A, at, 0x71, 100, 400);
  const path = saved(t, guest);
  const text = print(path);
  const [, advice = ''] = text.split('What to change\n\n');
  assert.match(
    advice,
    /^1000: The guest polls the RTC: 1,\d{3}\/s, mainly port 0x71 \(rtc\)\. Costs 40\.\d % of a vCPU\.$/m,
  );
  assert.match(advice, /^ {2}QEMU {5}-cpu host,hv-relaxed,.*hv-stimer/m);
  const [finding] = JSON.parse(print('--format', 'json', path)).findings;
  assert.equal(finding.advice, 'rtc');
  assert.ok(Math.abs(finding.cost - 0.4) < 0.01, finding.cost);
  assert.match(print('--format', 'csv', path), /^findings,1000,.*,rtc,/m);
});
