/** Durations and causes of exits, against perf's own report, an independent calculation, and the guests' sources. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReportData } from '../../src/expose/report/report.js';
import { reportOf } from '../support/agent/run-agent.js';
import { fixture, readFixture, readJson } from '../support/fixtures.js';
import { type ReferenceCosts, referenceCosts } from '../support/trace/reference-costs.js';

/** Microseconds: half of the last digit that perf prints. */
const PERF_US = 0.005;
/** Microseconds: the text has whole ones at both ends of a duration. */
const TEXT_US = 1;

interface PerfRow {
  name: string;
  samples: number;
  minUs: number;
  maxUs: number;
  meanUs: number;
}

function perfRows(file: string): PerfRow[] {
  const row = /^\s*(\S.*?)\s+(\d+)\s+[\d.]+%\s+[\d.]+%\s+([\d.]+)us\s+([\d.]+)us\s+([\d.]+)us/gm;
  return [...readFixture(`perf/${file}`).toString('latin1').matchAll(row)].map(([, name = '', ...numbers]) => {
    const [samples = 0, minUs = 0, maxUs = 0, meanUs = 0] = numbers.map(Number);
    return { name, samples, minUs, maxUs, meanUs };
  });
}

function near(got: number, want: number, within: number, what: string): void {
  assert.ok(Math.abs(got - want) <= within, `${what}: ${got}, expected ${want} within ${within}`);
}

/** The durations of all threads together by reason. */
function byReason(durations: ReportData['durations']): ReportData['durations'] {
  const sums = new Map<string, ReportData['durations'][number]>();
  for (const row of durations) {
    const sum = sums.get(row.reason);
    const both = sum && {
      ...sum,
      count: sum.count + row.count,
      sum_seconds: sum.sum_seconds + row.sum_seconds,
      min_seconds: Math.min(sum.min_seconds, row.min_seconds),
      max_seconds: Math.max(sum.max_seconds, row.max_seconds),
    };
    sums.set(row.reason, both ?? row);
  }
  return [...sums.values()];
}

test('durations by reason equal those of perf kvm stat', () => {
  const durations = byReason(reportOf(fixture('perf/perf-script.txt')).durations);
  const rows = perfRows('perf-report.vmexit.txt');
  assert.deepEqual(durations.map(({ reason }) => reason).sort(), rows.map(({ name }) => name).sort());
  for (const { name, samples, minUs, maxUs, meanUs } of rows) {
    const own = durations.find(({ reason }) => reason === name);
    assert.equal(own?.count, samples, name);
    near(own?.min_seconds * 1e6, minUs, TEXT_US, `shortest ${name}`);
    near(own?.max_seconds * 1e6, maxUs, TEXT_US, `longest ${name}`);
    // Each duration is off by less than a microsecond, and by zero on average: both ends are rounded alike.
    near(
      own?.sum_seconds * 1e6,
      samples * meanUs,
      samples * PERF_US + 4 * Math.sqrt(samples) + TEXT_US,
      `total ${name}`,
    );
  }
});

test('ports equal those of perf kvm stat', () => {
  const { io } = reportOf(fixture('perf/perf-script.txt'));
  const got = byKey(
    io
      .filter(({ bus }) => bus === 'pio')
      .map(({ address, direction, count }) => [`${address}:P${direction.toUpperCase()}`, count]),
  );
  const want = perfRows('perf-report.ioport.txt').map(({ name, samples }) => [name, samples]);
  // The last write to 0x604 powers the VM off. perf counts an exit at the next entry, which never comes.
  const open = { '0x604:POUT': 2 };
  assert.deepEqual(got, { ...Object.fromEntries(want), ...open });
});

test('MMIO pages equal those of perf kvm stat', () => {
  const { io } = reportOf(fixture('perf/perf-script.txt'));
  const want: Record<string, number> = {};
  for (const { name, samples } of perfRows('perf-report.mmio.txt')) {
    const [address = '', way] = name.split(':');
    const page = `0x${(BigInt(address) & ~0xfffn).toString(16)} ${way === 'W' ? 'out' : 'in'}`;
    want[page] = (want[page] ?? 0) + samples;
  }
  const all = byKey(
    io.filter(({ bus }) => bus === 'mmio').map(({ address, direction, count }) => [`${address} ${direction}`, count]),
  );
  // perf counts an access when it sees its end, and the recording may stop before the last end.
  for (const [page, samples] of Object.entries(want)) near(all[page] ?? 0, samples, 1, page);
  assert.deepEqual(Object.keys(all).sort(), Object.keys(want).sort());
});

const RUNS = [
  {
    name: 'svm/two-vms-6.12',
    text: () => readFixture('svm/two-vms-6.12/trace_pipe.txt'),
    args: ['--path.procfs', fixture('svm/two-vms-6.12/proc'), fixture('svm/two-vms-6.12/trace_pipe.txt')],
    vcpus: { '187': ['vm-a', '0'], '188': ['vm-a', '1'], '186': ['vm-b', '0'] },
  },
  {
    name: 'demo',
    text: () => readFixture('demo/full/trace_pipe.txt'),
    args: ['--path.procfs', fixture('demo/proc'), fixture('demo/full/trace_pipe.txt')],
    vcpus: { '180': ['web-1', '0'], '181': ['legacy-db', '0'] },
  },
] as const;

for (const { name, text, args, vcpus } of RUNS) {
  test(`costs of ${name} equal those of an independent calculation`, () => {
    const got = reportOf(...args);
    const want = referenceCosts(text().toString('latin1'));
    const vmOf = (tid: string) => (vcpus as Record<string, readonly [string, string]>)[tid]?.[0] ?? `? ${tid}`;
    assertDurations(got, want, vmOf);
    assert.deepEqual(
      byKey(
        got.causes.map(({ vm, reason, userspace_reason, count }) => [`${vm} ${reason} ${userspace_reason}`, count]),
      ),
      byVm(want.causes, vmOf),
    );
    const io = got.io.map((own): [string, number] => [
      [own.vm, own.layer, own.bus, own.direction, own.address].join(' '),
      own.count,
    ]);
    assert.deepEqual(byKey(io), byVm(want.io, vmOf));
    for (const { vm, vcpu, kvm_seconds, qemu_seconds, idle_seconds, ready_seconds } of got.vcpu_times) {
      assert.equal(ready_seconds, null);
      const tid = Object.entries(vcpus).find(([, [name, number]]) => name === vm && number === vcpu)?.[0];
      if (tid === undefined) continue;
      near((kvm_seconds ?? 0) * 1e6, want.outsideGuest.get(`${tid} kvm`) ?? 0, 0.5, `${vm}/${vcpu} in KVM`);
      near((qemu_seconds ?? 0) * 1e6, want.outsideGuest.get(`${tid} qemu`) ?? 0, 0.5, `${vm}/${vcpu} in QEMU`);
      near((idle_seconds ?? 0) * 1e6, want.outsideGuest.get(`${tid} idle`) ?? 0, 0.5, `${vm}/${vcpu} idle`);
    }
  });
}

function assertDurations({ durations }: ReportData, want: ReferenceCosts, vmOf: (tid: string) => string): void {
  const wanted = new Map<string, { count: number; totalUs: number; minUs: number; maxUs: number }>();
  for (const [key, own] of want.durations) {
    const [tid = '', ...rest] = key.split(' ');
    const all = wanted.get([vmOf(tid), ...rest].join(' ')) ?? {
      count: 0,
      totalUs: 0,
      minUs: Number.POSITIVE_INFINITY,
      maxUs: 0,
    };
    wanted.set([vmOf(tid), ...rest].join(' '), {
      count: all.count + own.count,
      totalUs: all.totalUs + own.totalUs,
      minUs: Math.min(all.minUs, own.minUs),
      maxUs: Math.max(all.maxUs, own.maxUs),
    });
  }
  assert.deepEqual(
    durations.map(({ vm, layer, reason }) => `${vm} ${layer} ${reason}`).sort(),
    [...wanted.keys()].sort(),
  );
  for (const { vm, layer, reason, count, sum_seconds, min_seconds, max_seconds } of durations) {
    const own = wanted.get(`${vm} ${layer} ${reason}`);
    assert.equal(count, own?.count, `${vm} ${layer} ${reason}`);
    near(sum_seconds * 1e6, own?.totalUs ?? Number.NaN, 0.5, `total ${vm} ${layer} ${reason}`);
    near(min_seconds * 1e6, own?.minUs ?? Number.NaN, 0.01, `shortest ${vm} ${layer} ${reason}`);
    near(max_seconds * 1e6, own?.maxUs ?? Number.NaN, 0.01, `longest ${vm} ${layer} ${reason}`);
    assert.ok(min_seconds >= 0);
  }
}

function byVm(counts: ReadonlyMap<string, number>, vmOf: (tid: string) => string): Record<string, number> {
  return byKey(
    [...counts].map(([key, count]) => {
      const [tid = '', ...rest] = key.split(' ');
      return [[vmOf(tid), ...rest].join(' '), count];
    }),
  );
}

function byKey(pairs: readonly (readonly [string, number])[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [key, count] of pairs) sums[key] = (sums[key] ?? 0) + count;
  return sums;
}

test('pages and text of one run give the same costs', () => {
  const run = 'svm/two-vms-6.12';
  const text = reportOf('--path.procfs', fixture(`${run}/proc`), fixture(`${run}/trace_pipe.txt`));
  const pages = reportOf('--path.procfs', fixture(`${run}/proc`), fixture(`${run}/raw`));
  assert.deepEqual(
    byKey(pages.causes.map((own) => [`${own.vm} ${own.reason} ${own.userspace_reason}`, own.count])),
    byKey(text.causes.map((own) => [`${own.vm} ${own.reason} ${own.userspace_reason}`, own.count])),
  );
  assert.equal(pages.durations.length, text.durations.length);
  for (const own of pages.durations) {
    const other = text.durations.find(
      ({ vm, layer, reason }) => vm === own.vm && layer === own.layer && reason === own.reason,
    );
    assert.equal(own.count, other?.count, `${own.vm} ${own.layer} ${own.reason}`);
  }
});

for (const run of ['e2-mix', 'e3-hlt-irqchip-off']) {
  test(`the ports of ${run} equal those in the guest's source`, () => {
    const { text } = readJson<{ text: { kvm_pio_by_tid_dir_port: Record<string, number> } }>(
      `exact/${run}/expected.json`,
    );
    const want: Record<string, number> = {};
    for (const [key, count] of Object.entries(text.kvm_pio_by_tid_dir_port)) {
      const [, way, port] = /pio_(read|write) at (0x[0-9a-f]+)/.exec(key) ?? [];
      want[`${way === 'write' ? 'out' : 'in'} ${port}`] = count;
    }
    const { io } = reportOf(fixture(`exact/${run}/trace_pipe.txt`));
    const pio = io.filter(({ bus }) => bus === 'pio');
    assert.deepEqual(byKey(pio.map(({ direction, address, count }) => [`${direction} ${address}`, count])), want);
    // With the irqchip in the kernel, KVM itself answers for one port, the PIC's at 0x21.
    const kernel = run === 'e2-mix' ? [['0x21', 'pic1']] : [];
    assert.deepEqual(
      pio.filter(({ layer }) => layer === 'kvm').map(({ address, device }) => [address, device]),
      kernel,
    );
  });
}

test('kicks are ioeventfd signals with an ioeventfd, and exits to QEMU without', () => {
  const kicks = ({ eventfds }: ReportData) =>
    eventfds
      .filter(({ kind, seen_by }) => kind === 'ioeventfd' && seen_by === 'kvm')
      .reduce((sum, { count }) => sum + count, 0);
  const mmioExits = ({ exits }: ReportData) =>
    exits.filter(({ reason }) => reason === 'KVM_EXIT_MMIO').reduce((sum, { count }) => sum + count, 0);
  const on = reportOf(fixture('virtio/kvm-seabios-ioeventfd/trace_pipe.txt'));
  const off = reportOf(fixture('virtio/kvm-seabios-no-ioeventfd/trace_pipe.txt'));
  assert.equal(kicks(on), 201);
  assert.equal(kicks(off), 0);
  assert.equal(mmioExits(off) - mmioExits(on), 201);
});

test('interrupts from outside the vCPU threads are irqfd signals', () => {
  const { eventfds } = reportOf('--path.procfs', fixture('demo/proc'), fixture('demo/full/trace_pipe.txt'));
  // The number of virtio_notify_irqfd events in QEMU's log of the same run.
  assert.deepEqual(
    eventfds.filter(({ kind }) => kind === 'irqfd').map(({ vm, count }) => [vm, count]),
    [['web-1', 1503]],
  );
});
