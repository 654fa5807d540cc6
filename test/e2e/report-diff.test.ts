/** `report --diff`: what changed between two recordings. Expected figures are worked out by hand. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ChangeData, DiffData } from '../../src/expose/diff/diff-json.js';
import { runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture } from '../support/fixtures.js';
import { ROOT } from '../support/paths.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TraceText } from '../support/trace/trace-text.js';

const SECOND = 1_000_000;

/** 10 s: 8 exits, 4 of them to QEMU; 60 ms in KVM and 160 ms in QEMU. */
function slow(pid = 1000): TraceText {
  const text = new TraceText().entry({ pid }, 0);
  for (const at of [1, 2, 3, 4]) text.out({ pid }, at * SECOND, 0x70, 10_000, 40_000);
  for (const at of [5, 6, 7, 8]) text.handled({ pid }, at * SECOND, 'msr', 5000);
  return text.entry({ pid }, 10 * SECOND);
}

/** 5 s: 5 exits, 4 of them to QEMU; 45 ms in KVM and 160 ms in QEMU. */
function fast(pid = 1000): TraceText {
  const text = new TraceText().entry({ pid }, 0);
  for (const at of [1, 2]) text.out({ pid }, at * SECOND, 0x70, 10_000, 40_000);
  for (const at of [1.5, 2.5]) text.out({ pid }, at * SECOND, 0x60, 10_000, 40_000);
  return text.handled({ pid }, 4 * SECOND, 'cpuid', 5000).entry({ pid }, 5 * SECOND);
}

function saved(t: TestContext, text: TraceText | string): string {
  const path = join(temporaryFolder(t, 'diff'), 'trace.txt');
  writeFileSync(path, String(text));
  return path;
}

function run(...args: string[]) {
  return runAgent('report', '--diff', ...args);
}

function print(...args: string[]): string {
  const { status, stdout, stderr } = run(...args);
  assert.equal(status, 0);
  assert.match(stderr, /^(\S+ \S+: does not name processes, .*\n)*$/);
  return stdout;
}

function diff(...args: string[]): DiffData {
  return JSON.parse(print('--format=json', ...args));
}

/** What a kernel prints without the option record-tgid. */
function withoutProcesses(text: TraceText | string): string {
  return String(text).replaceAll(/\( *\d+\) \[/g, '(-------) [');
}

/** The figures of one section: `before after rise state`, the rise in percent. */
function figures({ changes }: DiffData, section: ChangeData['section'], label: (change: ChangeData) => string) {
  const own = changes.filter((change) => change.section === section);
  const round = (figure: number | null) => (figure === null ? null : Number(figure.toPrecision(6)));
  return Object.fromEntries(
    own.map((row) => [
      `${label(row)} ${row.figure}`.trim(),
      [round(row.before), round(row.after), row.rise === null ? null : Number((row.rise * 100).toFixed(1)), row.state],
    ]),
  );
}

test('--diff compares rates, shares, time lost and the cost of an exit', (t) => {
  const changed = diff(saved(t, slow()), saved(t, fast()));
  assert.equal(changed.has_rates, true);
  assert.deepEqual(
    figures(changed, 'vms', ({ vm }) => vm),
    {
      '1000 qemu_exits_per_second': [0.4, 0.8, 100, 'both'],
      '1000 kvm_exits_per_second': [0.8, 1, 25, 'both'],
      '1000 share_reaching_qemu': [0.5, 0.8, 60, 'both'],
      // 220 ms of 10 s, 205 ms of 5 s.
      '1000 time_lost': [0.022, 0.041, 86.4, 'both'],
    },
  );
  assert.deepEqual(
    figures(changed, 'reasons', ({ layer, reason }) => `${layer} ${reason}`),
    {
      'kvm io exits_per_second': [0.4, 0.8, 100, 'both'],
      'kvm io seconds_per_exit': [null, null, null, 'unknown'],
      'kvm msr exits_per_second': [0.4, 0, -100, 'gone'],
      'kvm msr seconds_per_exit': [0.005, null, null, 'unknown'],
      'kvm cpuid exits_per_second': [0, 0.2, null, 'new'],
      'kvm cpuid seconds_per_exit': [null, 0.005, null, 'unknown'],
      'qemu KVM_EXIT_IO exits_per_second': [0.4, 0.8, 100, 'both'],
      'qemu KVM_EXIT_IO seconds_per_exit': [0.04, 0.04, 0, 'both'],
    },
  );
  assert.deepEqual(
    figures(changed, 'io', ({ layer, address, device }) => `${layer} ${address} ${device}`),
    {
      'qemu 0x70 rtc accesses_per_second': [0.4, 0.4, 0, 'both'],
      'qemu 0x60 i8042 accesses_per_second': [0, 0.4, null, 'new'],
    },
  );
});

test('--diff prints the worst first, and names what is new and gone', (t) => {
  const lines = print(saved(t, slow()), saved(t, fast())).split('\n');
  assert.deepEqual(lines.slice(0, 10), [
    'before: 10 s: 8 VM exits (0.8/s), 50.0 % of them went on to QEMU (0.4/s).',
    'after: 5 s: 5 VM exits (1/s), 80.0 % of them went on to QEMU (0.8/s).',
    'New in 1000: cpuid (layer kvm), device i8042.',
    'Gone from 1000: msr (layer kvm).',
    '',
    'VM    figure               before   after    change',
    '1000  exits to QEMU per s     0.4     0.8  +100.0 %',
    '1000  exits to KVM per s      0.8       1   +25.0 %',
    '1000  share reaching QEMU  50.0 %  80.0 %   +60.0 %',
    '1000  time lost             2.2 %   4.1 %   +86.4 %',
  ]);
  const reasons = lines.filter((line) => /^1000 +(qemu|kvm) +\w+ +[\d.]+ /.test(line));
  assert.deepEqual(
    reasons.map((line) => line.split(/ {2,}/).slice(1, 6)),
    [
      ['qemu', 'KVM_EXIT_IO', '0.4', '0.8', '+100.0 %'],
      ['kvm', 'io', '0.4', '0.8', '+100.0 %'],
      ['kvm', 'cpuid', '0', '0.2', 'new'],
      ['kvm', 'msr', '0.4', '0', 'gone'],
    ],
  );
});

test('--diff matches VMs by name, and single VMs whatever their names', (t) => {
  assert.deepEqual(
    [...new Set(diff(saved(t, slow(1000)), saved(t, fast(2000))).changes.map((row) => `${row.vm_before} ${row.vm}`))],
    ['1000 2000'],
  );
  // Without process ids, a thread stands for its VM.
  const unnamed = saved(t, withoutProcesses(slow()));
  assert.equal(diff(unnamed, saved(t, fast(2000))).changes[0]?.vm_before, 'CPU 0/KVM-1001');
  const [two, other] = [saved(t, `${slow(1000)}${slow(2000)}`), saved(t, `${fast(2000)}${fast(3000)}`)];
  const { only_before, only_after, changes } = diff(two, other);
  assert.deepEqual([only_before, only_after], [['1000'], ['3000']]);
  assert.deepEqual([...new Set(changes.map(({ vm }) => vm))], ['2000']);
  assert.match(print(two, other), /\nVMs only before: 1000\.\nVMs only after: 3000\.\n/);
  const { status, stdout, stderr } = run(two, saved(t, fast(3000)));
  assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
  assert.match(stderr, /no VM has exits in both recordings; \S+ has 1000, 2000, \S+ has 3000\n$/);
});

test('--diff matches threads that stand for their VM by name, unless two have it', (t) => {
  const [A, B] = [{ pid: 1000 }, { pid: 1000, vcpu: 1 }];
  const before = new TraceText().exit(A, 1, 'hlt').exit(B, 2, 'hlt').entry(B, 9);
  const after = String(before).replaceAll('KVM-1001', 'KVM-2001').replaceAll('KVM-1002', 'KVM-2002');
  const paths = [before, after].map((text) => saved(t, withoutProcesses(text)));
  const pairs = new Set(diff(...paths).changes.map((row) => `${row.vm_before} ${row.vm}`));
  assert.deepEqual([...pairs].sort(), ['CPU 0/KVM-1001 CPU 0/KVM-2001', 'CPU 1/KVM-1002 CPU 1/KVM-2002']);
  const twoVms = saved(t, withoutProcesses(`${after}${new TraceText().exit({ pid: 3000 }, 3, 'hlt')}`));
  const { only_before, only_after } = diff(String(paths[0]), twoVms);
  assert.deepEqual([only_before, only_after], [['CPU 0/KVM-1001'], ['CPU 0/KVM-2001', 'CPU 0/KVM-3001']]);
});

test('--diff orders VMs by the rise of the figure that --sort names', (t) => {
  const exits = (pid: number, toQemu: number) => {
    const text = new TraceText().entry({ pid }, 0);
    for (let at = 1; at <= 8; at++) {
      if (at <= toQemu) text.out({ pid }, at * SECOND, 0x70, 10_000, 40_000);
      else text.handled({ pid }, at * SECOND, 'msr', 5000);
    }
    return text;
  };
  const before = saved(t, `${exits(1000, 2)}${exits(2000, 7)}`);
  const after = saved(t, `${exits(1000, 7)}${exits(2000, 2)}`);
  const order = (...args: string[]) => [
    ...new Set(diff(...args).changes.flatMap(({ section, vm }) => (section === 'vms' ? [vm] : []))),
  ];
  for (const sort of ['qemu', 'time', 'share']) {
    assert.deepEqual(order('--sort', sort, before, after), ['1000', '2000'], sort);
    assert.deepEqual(order('--sort', sort, after, before), ['2000', '1000'], sort);
  }
  assert.deepEqual(order('--sort=name', after, before), ['1000', '2000']);
});

test('--diff --vm and --since limit both recordings', (t) => {
  const before = saved(t, `${slow(1000)}${slow(2000)}`);
  const after = saved(t, `${fast(1000)}${fast(2000)}`);
  const { changes } = diff('--vm=2000', '--until=2.25', before, after);
  assert.deepEqual([...new Set(changes.map(({ vm }) => vm))], ['2000']);
  const rate = changes.find(({ figure }) => figure === 'qemu_exits_per_second');
  // Before: exits at 1 and 2 s. After: at 1, 1.5 and 2 s.
  assert.deepEqual([rate?.before, rate?.after], [2 / 2.25, 3 / 2.25]);
});

test('--diff compares shares if a recording has no times', (t) => {
  const untimed = fixture('text-variants/trace_pipe.clk-counter.txt');
  const timed = saved(t, withoutProcesses(fast()));
  const { has_rates, changes } = diff(untimed, timed);
  assert.equal(has_rates, false);
  assert.deepEqual([...new Set(changes.map(({ figure }) => figure))].sort(), [
    'kvm_exits_per_second',
    'qemu_exits_per_second',
    'seconds_per_exit',
    'share_of_accesses',
    'share_of_layer',
    'share_reaching_qemu',
    'time_lost',
  ]);
  const io = changes.find(({ layer, reason, figure }) => layer + reason + figure === 'kvmioshare_of_layer');
  assert.equal(io?.after, 0.8);
  const rate = changes.find(({ figure }) => figure === 'qemu_exits_per_second');
  assert.deepEqual([rate?.before, rate?.rise, rate?.state], [null, null, 'unknown']);
  assert.match(print(untimed, timed), /\nAt least one of them has no times, so shares are compared/);
});

test('what a recording does not show is unknown, and neither new nor gone', (t) => {
  const onlyExits = new TraceText().exit({ pid: 1000 }, 0, 'hlt').exit({ pid: 1000 }, SECOND, 'hlt');
  const { changes } = diff(saved(t, onlyExits), saved(t, fast()));
  const states = new Set(changes.filter((row) => row.layer === 'qemu').map(({ state }) => state));
  assert.deepEqual([...states], ['unknown']);
});

for (const [name, limit, rises] of [
  ['a rise above the limit', '50%', ['exits to QEMU per s', 'share reaching QEMU', 'time lost']],
  ['a higher limit', '90', ['exits to QEMU per s']],
  ['a limit above all rises', '100%', []],
] as const)
  test(`--fail-above: ${name}`, (t) => {
    const { status, stdout, stderr } = run(`--fail-above=${limit}`, saved(t, slow()), saved(t, fast()));
    assert.equal(status, rises.length > 0 ? 3 : 0);
    assert.match(stdout, /^before: /);
    const named = [...stderr.matchAll(/^kvm-exit-exporter: 1000: (.+) rose from .+ to .+ \(\+[\d.]+ %\)$/gm)];
    assert.deepEqual(
      named.map(([, figure]) => figure),
      rises,
    );
  });

test('--fail-above: falling figures are good, and equal recordings too', (t) => {
  for (const [before, after] of [
    [fast(), slow()],
    [fast(), fast()],
  ]) {
    const { status, stderr } = run('--fail-above=0%', saved(t, String(before)), saved(t, String(after)));
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  }
});

test('--fail-above: a figure that was 0 has risen', (t) => {
  const before = new TraceText().entry({ pid: 1 }, 0).handled({ pid: 1 }, SECOND, 'msr', 5000);
  // kvm_userspace_exit occurs, so that the recording shows the layer.
  before.out({ pid: 2 }, SECOND, 0x70, 1, 1);
  const after = new TraceText().entry({ pid: 1 }, 0).out({ pid: 1 }, SECOND, 0x70, 10, 10);
  const { status, stderr } = run('--fail-above=1000%', '--vm=1', saved(t, before), saved(t, after));
  assert.equal(status, 3);
  assert.match(stderr, /^kvm-exit-exporter: 1: exits to QEMU per s rose from 0 to 1 \(new\)$/m);
});

for (const [name, args, message] of [
  ['one recording', ['--diff', 'a'], /--diff compares two recordings: BEFORE AFTER; got a$/m],
  ['three recordings', ['--diff', 'a', 'b', 'c'], /--diff compares two recordings/],
  ['--format=prometheus', ['--diff', '--format=prometheus', 'a', 'b'], /cannot be printed as prometheus/],
  ['--fail-above alone', ['--fail-above=10%', 'a'], /--fail-above compares two recordings/],
  ['no percentage', ['--diff', '--fail-above=much', 'a', 'b'], /--fail-above=much: expected a percentage such as 10%/],
] as const)
  test(`refused: ${name}`, () => {
    const { status, stdout, stderr } = runAgent('report', ...args);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, message);
  });

test('--diff of a recording with itself finds no change', () => {
  for (const path of ['svm/two-vms-6.12', 'qemu-log/b2-timestamp/log.txt', 'exact/e2-mix']) {
    const { changes } = diff(fixture(path), fixture(path));
    assert.ok(changes.length > 0);
    assert.deepEqual(
      changes.filter(({ rise, before, after }) => before !== after || (rise ?? 0) !== 0),
      [],
    );
  }
});

test('CSV has the changes and findings of JSON', (t) => {
  const paths = [saved(t, slow()), saved(t, fast())];
  const [heading = '', ...lines] = print('--format=csv', ...paths)
    .trimEnd()
    .split('\n');
  const names = heading.split(',');
  const rows = lines.map((line) => Object.fromEntries(line.split(',').map((field, column) => [names[column], field])));
  const { changes, findings } = diff(...paths);
  const expected = [...changes, ...findings.map((finding) => ({ section: 'findings', ...finding }))];
  const empty = Object.fromEntries(names.map((name) => [name, '']));
  assert.deepEqual(
    rows,
    expected.map((row) => ({
      ...empty,
      ...Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value ?? '')])),
    })),
  );
});

test('the JSON fits docs/report-diff.schema.json', (t) => {
  const read = (name: string) => JSON.parse(readFileSync(join(ROOT, 'docs', name), 'utf8'));
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, schemas: [read('report.schema.json')] });
  const validate = ajv.compile(read('report-diff.schema.json'));
  const counter = saved(t, readFixture('text-variants/trace_pipe.clk-counter.txt').toString('latin1'));
  for (const [before, after] of [
    [saved(t, slow()), saved(t, fast())],
    [counter, saved(t, withoutProcesses(fast()))],
    [fixture('svm/two-vms-6.12'), fixture('svm/two-vms-6.12')],
  ]) {
    assert.ok(validate(diff(String(before), String(after))), JSON.stringify(validate.errors));
  }
});

test('--diff names the findings that went away, stayed or are new, with their cost', (t) => {
  const [before, after] = [saved(t, slow()), saved(t, fast())];
  const found = (changed: DiffData) =>
    changed.findings.map(({ vm, advice, state, cost_before, cost_after }) =>
      [vm, advice, state, cost_before?.toFixed(3), cost_after?.toFixed(3)].join(' '),
    );
  // 4 accesses of 40 ms in QEMU in 10 s; 2 of them to each of two ports in 5 s.
  assert.deepEqual(found(diff(before, after)), ['1000 rtc both 0.016 0.016', '1000 ps2-polling new  0.016']);
  assert.deepEqual(found(diff(after, before)), ['1000 ps2-polling gone 0.016 ', '1000 rtc both 0.016 0.016']);
  assert.match(print(after, before), /^1000 +ps2-polling +gone +1\.6 % +-$/m);
  assert.match(print('--format=csv', after, before), /^findings,1000,1000,.*ps2-polling,/m);
});
