/**
 * `report DIR` on saved pages of real recordings, against counts made by independent tools: see
 * test/fixtures/README.md.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { formatText, headerPageText, PageBuilder, payload } from '../support/trace/page-builder.js';

type Counts = Record<string, number>;

interface Expectation {
  readonly trace_cmd: { readonly events: Counts };
  readonly second_instance_text: TextExpectation;
  readonly text: TextExpectation;
  readonly simple_backend: { readonly events: Counts };
  readonly by_construction_kvm_run_exit: Counts;
}

interface TextExpectation {
  readonly events: Counts;
  readonly per_cpu_lines: Counts;
  readonly kvm_userspace_exit_by_tid: Counts;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** The part of a report that must be equal for the text and the pages of one run. */
function comparable({ exits, tracepoints, qemu_events, lost, malformed }: ReportData): object {
  return { exits, tracepoints, qemu_events, lost, malformed };
}

/** Counts by `restart` from counts by `11376 reason restart (4)`: summed over threads. */
function byReason(exits: Counts): Counts {
  const sums: Counts = {};
  for (const [text, count] of Object.entries(exits)) {
    const reason = /reason (\S+)/.exec(text)?.[1] ?? '';
    sums[reason] = (sums[reason] ?? 0) + count;
  }
  return sums;
}

function exitsByReason({ exits }: ReportData): Counts {
  const sums: Counts = {};
  for (const { reason, count } of exits) sums[reason] = (sums[reason] ?? 0) + count;
  return sums;
}

/** A copy of a recording below test/fixtures that a test may change. */
function copyOf(t: TestContext, recording: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pages-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(fixture(recording), folder, { recursive: true });
  return folder;
}

const D1 = 'ftrace-raw/d1-drained-after';
const D3 = 'ftrace-raw/d3-overrun';
const SVM = 'svm/two-vms-6.12';

const TEXT_OF_SAME_RUN: readonly { recording: string; text: string; procfs?: string }[] = [
  { recording: D1, text: 'same-load.trace_pipe.txt', procfs: 'fixture/proc' },
  { recording: SVM, text: 'trace_pipe.txt', procfs: 'proc' },
  { recording: 'exact/e2-mix', text: 'trace_pipe.txt' },
  { recording: 'exact/e3-hlt-irqchip-off', text: 'trace_pipe.txt' },
  { recording: 'exact/e6-internal-error', text: 'trace_pipe.txt' },
  { recording: 'virtio/kvm-seabios-ioeventfd', text: 'trace_pipe.txt', procfs: 'fixture/proc' },
  { recording: 'virtio/kvm-seabios-no-ioeventfd', text: 'trace_pipe.txt', procfs: 'fixture/proc' },
];

for (const { recording, text, procfs } of TEXT_OF_SAME_RUN) {
  test(`report gives the same for the pages and the text of ${recording}`, () => {
    const names = procfs === undefined ? [] : ['--path.procfs', fixture(`${recording}/${procfs}`)];
    const pages = reportOf(fixture(recording));
    assert.deepEqual(comparable(pages), comparable(reportOf(...names, fixture(`${recording}/${text}`))));
    assert.ok(sum(pages.exits.map(({ count }) => count)) > 20);
  });
}

test(`report counts ${D1} as trace-cmd and the text instance did`, () => {
  const want = readJson<Expectation>(`${D1}/expected.json`);
  const got = reportOf(fixture(D1));
  const { print = 0, ...events } = want.trace_cmd.events;
  assert.deepEqual(got.tracepoints, { ...events, tracing_mark_write: print });
  assert.deepEqual(exitsByReason(got), byReason(want.second_instance_text.kvm_userspace_exit_by_tid));
  assert.deepEqual(got.lost, { events: 0, unknown_gaps: 0 });
  assert.deepEqual(got.malformed, {});
});

test(`report of ${D3}: events read and events lost add up to what the kernel wrote`, () => {
  const want = readJson<Expectation>(`${D3}/expected.json`);
  const got = reportOf(fixture(D3));
  const { print = 0, ...events } = want.trace_cmd.events;
  assert.deepEqual(got.tracepoints, { ...events, tracing_mark_write: print });
  const overruns = [
    ...readFixture(`${D3}/stats_before_drain.txt`)
      .toString()
      .matchAll(/^overrun: (\d+)$/gm),
  ].map(([, count]) => Number(count));
  assert.deepEqual(got.lost, { events: sum(overruns), unknown_gaps: 0 });
  const written = sum(Object.values(want.second_instance_text.per_cpu_lines));
  assert.equal(sum(Object.values(got.tracepoints)) + got.lost.events, written);
});

for (const run of ['e2-mix', 'e3-hlt-irqchip-off', 'e6-internal-error']) {
  test(`report of the pages of exact/${run} equals what the guest's source does`, () => {
    const want = readJson<Expectation>(`exact/${run}/expected.json`);
    const got = reportOf(fixture(`exact/${run}`));
    assert.deepEqual(got.tracepoints, want.text.events);
    assert.deepEqual(got.qemu_events, want.simple_backend.events);
    assert.deepEqual(exitsByReason(got), byReason(want.text.kvm_userspace_exit_by_tid));
    assert.deepEqual([...new Set(got.exits.map(({ vcpu }) => vcpu))], ['0']);
  });
}

test(`report counts ${SVM} by VM, vCPU, layer and reason, packed or not`, (t) => {
  const want = readJson<ReportData>(`${SVM}/expected.json`);
  assert.deepEqual(reportOf(fixture(SVM)).exits, want.exits);
  const folder = copyOf(t, SVM);
  for (const cpu of ['cpu0', 'cpu1']) {
    writeFileSync(join(folder, `raw/${cpu}.raw`), readFixture(`${SVM}/raw/${cpu}.raw`));
    rmSync(join(folder, `raw/${cpu}.raw.gz`));
  }
  assert.deepEqual(reportOf(folder).exits, want.exits);
  // A directory with pages only; its tracefs is beside it.
  assert.deepEqual(reportOf('--path.procfs', fixture(`${SVM}/proc`), join(folder, 'raw')).exits, want.exits);
});

test('report takes names from --path.procfs, formats from --path.tracefs', (t) => {
  const folder = copyOf(t, SVM);
  cpSync(join(folder, 'raw'), join(folder, 'elsewhere/pages'), { recursive: true });
  cpSync(join(folder, 'tracefs'), join(folder, 'elsewhere/formats'), { recursive: true });
  const pages = join(folder, 'elsewhere/pages');
  const options = ['--path.procfs', join(folder, 'proc'), '--path.tracefs', join(folder, 'elsewhere/formats')];
  assert.deepEqual(reportOf(...options, pages).exits, readJson<ReportData>(`${SVM}/expected.json`).exits);
});

/** `vm/vcpu` of all exits, each once. */
function vcpus({ exits }: ReportData): string[] {
  return [...new Set(exits.map(({ vm, vcpu }) => `${vm}/${vcpu}`))];
}

test('report takes processes and vCPUs from saved_tgids and saved_cmdlines if there is no /proc', (t) => {
  const folder = copyOf(t, D1);
  rmSync(join(folder, 'fixture'), { recursive: true });
  assert.deepEqual(vcpus(reportOf(folder)), ['7713/0', '7713/1', '7714/0']);
  writeFileSync(join(folder, 'tracefs/saved_tgids'), '');
  assert.deepEqual(vcpus(reportOf(folder)), ['CPU 0/KVM-7719/0', 'CPU 0/KVM-7720/0', 'CPU 1/KVM-7721/1']);
});

test('report takes processes from --path.tracefs for a text without them', (t) => {
  const recording = 'ftrace-text/c1-top-notgid-all';
  const text = fixture(`${recording}/trace_pipe.txt`);
  const tracefs = mkdtempSync(join(tmpdir(), 'tracefs-'));
  t.after(() => rmSync(tracefs, { recursive: true, force: true }));
  const tgids = ['7514', '7515'].flatMap((pid) =>
    readdirSync(fixture(`${recording}/fixture/proc/${pid}/task`)).map((tid) => `${tid} ${pid}\n`),
  );
  writeFileSync(join(tracefs, 'saved_tgids'), tgids.join(''));
  assert.deepEqual(vcpus(reportOf('--path.tracefs', tracefs, text)), ['7514/0', '7514/1', '7515/0']);
});

/** kvm_userspace_exit with errno 0 and KVM_EXIT_IO of thread 11376, in the layout of that kernel. */
const USERSPACE_EXIT = payload(42, 11_376, [
  [8, 4, 2],
  [12, 4, 0],
]);

test('report reads sub-buffers of the size in buffer_subbuf_size_kb, and merges their events', (t) => {
  const folder = copyOf(t, 'exact/e2-mix');
  writeFileSync(join(folder, 'tracefs/buffer_subbuf_size_kb'), '64\n');
  rmSync(join(folder, 'cpu0.raw.gz'));
  const pageSize = 65_536;
  for (const [cpu, pages] of [3, 2].entries()) {
    const bytes = Array.from({ length: pages }, (_, page) => {
      const builder = new PageBuilder(BigInt(1_000_000 * page + 10 * cpu), { pageSize });
      for (let event = 0; event < 3000; event++) builder.event(20, USERSPACE_EXIT);
      return builder.build();
    });
    writeFileSync(join(folder, `cpu${cpu}.raw`), Buffer.concat(bytes));
  }
  const count = (data: ReportData) => data.exits.map((exit) => [exit.vm, exit.vcpu, exit.reason, exit.count]);
  assert.deepEqual(count(reportOf(folder)), [['11373', '0', 'KVM_EXIT_IO', 15_000]]);
  truncateSync(join(folder, 'cpu0.raw'), 2 * pageSize + 16 + 20 * 1000 + 4);
  const cut = reportOf(folder);
  assert.deepEqual(count(cut), [['11373', '0', 'KVM_EXIT_IO', 13_000]]);
  assert.deepEqual(cut.malformed, { truncated: 1 });
});

test('report reads the pages of a big-endian machine, if byte_order says so', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pages-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bigEndian = true;
  const exit = payload(
    42,
    7,
    [
      [8, 4, 2],
      [12, 4, 0],
    ],
    { bigEndian },
  );
  const builder = new PageBuilder(1000n, { bigEndian });
  for (let event = 0; event < 100; event++) builder.event(20, exit);
  const format = join(folder, 'tracefs/events/kvm/kvm_userspace_exit');
  mkdirSync(format, { recursive: true });
  const fields = [
    ['u32 reason', 8, 4],
    ['int errno', 12, 4],
  ] as const;
  writeFileSync(join(format, 'format'), formatText('kvm_userspace_exit', 42, fields));
  writeFileSync(join(folder, 'tracefs/events/header_page'), headerPageText());
  writeFileSync(join(folder, 'tracefs/byte_order'), 'BE\n');
  writeFileSync(join(folder, 'cpu0.raw'), builder.build());
  assert.deepEqual(exitsByReason(reportOf(folder)), { KVM_EXIT_IO: 100 });
});

test('report adds the events that the saved statistics count as lost after the last page', (t) => {
  const folder = copyOf(t, D3);
  mkdirSync(join(folder, 'stats'));
  const stats = (overrun: number) => `entries: 0\noverrun: ${overrun}\ncommit overrun: 0\ndropped events: 3\n`;
  writeFileSync(join(folder, 'stats/cpu0'), stats(22_197));
  writeFileSync(join(folder, 'stats/cpu1'), stats(5));
  // CPU 0: 22,200 by the statistics, 22,097 by the pages; CPU 1: 26,324 by the pages.
  assert.deepEqual(reportOf(folder).lost, { events: 22_200 + 26_324, unknown_gaps: 0 });
});

test('report reads a truncated file up to its end', (t) => {
  const folder = copyOf(t, D1);
  const pages = readFixture(`${D1}/cpu1.raw`);
  rmSync(join(folder, 'cpu1.raw.gz'));
  const whole = reportOf(fixture(D1));
  let before = 0;
  for (const size of [0, 4096, 4096 * 60, 4096 * 60 + 7, 4096 * 60 + 2000, pages.length - 3000]) {
    writeFileSync(join(folder, 'cpu1.raw'), pages.subarray(0, size));
    const got = reportOf(folder);
    const events = sum(Object.values(got.tracepoints));
    assert.ok(events >= before && events < sum(Object.values(whole.tracepoints)));
    assert.deepEqual(got.malformed, size % 4096 === 0 ? {} : { truncated: 1 }, `${size} bytes`);
    before = events;
  }
});

test('report reads a truncated packed file as far as it can be unpacked', (t) => {
  const folder = copyOf(t, D1);
  const packed = readFileSync(join(folder, 'cpu1.raw.gz'));
  writeFileSync(join(folder, 'cpu1.raw.gz'), packed.subarray(0, packed.length / 2));
  const got = reportOf(folder);
  assert.equal(got.malformed.truncated, 1);
  assert.ok(sum(Object.values(got.tracepoints)) > 9_624);
});

test('report refuses pages if the formats put common fields outside of their records', (t) => {
  const folder = copyOf(t, D1);
  const events = join(folder, 'tracefs/events');
  for (const format of readdirSync(events, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('format'),
  )) {
    const text = readFileSync(join(events, format), 'utf8');
    writeFileSync(join(events, format), text.replace(/(common_type;\toffset:)0;/, '$1400000;'));
  }
  const { status, stdout, stderr } = runAgent('report', folder);
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /: nothing in its pages could be decoded: they are damaged, or the tracefs is not that of/);
});

test('report refuses pages of which nothing can be decoded', (t) => {
  const folder = copyOf(t, D1);
  rmSync(join(folder, 'cpu1.raw.gz'));
  rmSync(join(folder, 'cpu0.raw.gz'));
  for (const [fill, says] of [
    [0x55, /: nothing in its pages could be decoded/],
    [0, /: no event is in its pages; save per_cpu/],
  ] as const) {
    writeFileSync(join(folder, 'cpu0.raw'), Buffer.alloc(40_960, fill));
    const { status, stdout, stderr } = runAgent('report', folder);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, says);
  }
});

test('report counts without durations if the clock does not count nanoseconds', (t) => {
  const folder = copyOf(t, SVM);
  writeFileSync(join(folder, 'tracefs/trace_clock'), 'local global [counter] mono x86-tsc\n');
  assert.deepEqual(reportOf(folder).exits, readJson<ReportData>(`${SVM}/expected.json`).exits);
});

const REFUSED: readonly { what: string; arrange(folder: string): string[]; says: RegExp }[] = [
  {
    what: 'a directory without pages',
    arrange: (folder) => [join(folder, 'tracefs')],
    says: /tracefs: is a directory without pages \(cpu0\.raw/,
  },
  {
    what: 'pages without formats',
    arrange: (folder) => {
      rmSync(join(folder, 'tracefs'), { recursive: true });
      return [folder];
    },
    says: /no tracefs\/events\/ in it.*--path\.tracefs=DIR/,
  },
  {
    what: 'formats without events',
    arrange: (folder) => {
      rmSync(join(folder, 'tracefs/events/kvm'), { recursive: true });
      rmSync(join(folder, 'tracefs/events/ftrace'), { recursive: true });
      return [folder];
    },
    says: /tracefs: no formats in its events\//,
  },
  {
    what: 'a header_page without fields',
    arrange: (folder) => {
      writeFileSync(join(folder, 'tracefs/events/header_page'), 'nothing\n');
      return [folder];
    },
    says: /events: header_page: needs the fields/,
  },
  {
    what: 'a CPU that is a broken link',
    arrange: (folder) => {
      rmSync(join(folder, 'cpu1.raw.gz'));
      symlinkSync('nowhere', join(folder, 'cpu1.raw.gz'));
      return [folder];
    },
    says: /cpu1\.raw\.gz: no such file/,
  },
  {
    what: 'one CPU alone',
    arrange: (folder) => [join(folder, 'cpu1.raw.gz')],
    says: /cpu1\.raw\.gz: pages of one CPU; give the directory/,
  },
  {
    what: 'recordings of two hosts',
    arrange: (folder) => [folder, fixture(SVM)],
    says: /two-vms-6\.12\/proc: recordings of two hosts/,
  },
];

for (const { what, arrange, says } of REFUSED) {
  test(`report refuses ${what} and says what to do`, (t) => {
    const { status, stderr } = runAgent('report', ...arrange(copyOf(t, D1)));
    assert.equal(status, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  });
}
