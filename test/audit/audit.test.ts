/**
 * KVM's own statistics against exits that other tools counted, of the same VMs: see test/fixtures/README.md. What
 * counts here is neither the agent nor its tables.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuditRow, auditVm, type TracedLayers } from '../../src/audit/audit.js';
import { AUDIT_CHECKS } from '../../src/audit/checks.js';
import { exitsBetween, sumExits } from '../../src/audit/exit-sums.js';
import { readJson } from '../support/fixtures.js';

interface Exit {
  readonly vm: string;
  readonly layer: string;
  readonly reason: string;
  readonly count: number;
}

interface Recorded {
  readonly statistics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly exits: readonly Exit[];
}

const HOSTS = ['svm-6.12', 'vmx-6.1', 'arm64-6.1', 'perf-6.1'];
const BOTH: TracedLayers = { kvm: true, qemu: true };

function audit(exits: readonly Exit[], statistics: Readonly<Record<string, number>>, traced = BOTH): AuditRow[] {
  const [sums] = sumExits(exits).values();
  assert.ok(sums !== undefined);
  return auditVm(sums, new Map(Object.entries(statistics)), traced);
}

function exit(reason: string, count: number, layer = 'kvm'): Exit {
  return { vm: 'vm-a', layer, reason, count };
}

const rowsOfHosts = HOSTS.flatMap((host) => {
  const { statistics, exits } = readJson<Recorded>(`audit/${host}.json`);
  return Object.entries(statistics).map(([vm, values]) => {
    const rows = audit(
      exits.filter((row) => row.vm === vm),
      values,
    );
    return { name: `${host} ${vm}`, values, rows };
  });
});

for (const { name, rows } of rowsOfHosts)
  test(`${name}: every statistic equals the exits that its check names`, () => {
    assert.deepEqual(
      rows.map(({ check, ours, obstacle }) => ({ check, ours, obstacle })),
      rows.map(({ check, kvm }) => ({ check, ours: kvm, obstacle: '' })),
    );
    assert.ok(rows.some(({ kvm }) => kvm > 0));
  });

test('a VM has the checks of its architecture', () => {
  const checksOf = (host: string) => {
    const [first] = rowsOfHosts.filter(({ name }) => name.startsWith(host));
    return first?.rows.map(({ check }) => check).join(' ');
  };
  const x86 = 'exits io_exits halt_exits irq_exits irq_window_exits hypercalls mmio_exits';
  assert.equal(checksOf('svm'), x86);
  assert.equal(checksOf('vmx'), x86);
  assert.equal(checksOf('arm64'), 'exits hvc_exit_stat wfx_exits mmio_exit_user');
});

test('every check but that of WFx is above 0 in a recording', () => {
  const shown = new Set(rowsOfHosts.flatMap(({ rows }) => rows.filter(({ kvm }) => kvm > 0).map(({ check }) => check)));
  assert.deepEqual(
    AUDIT_CHECKS.map(({ check }) => check).filter((check) => !shown.has(check)),
    ['wfx_exits'],
  );
});

test('exits that were not counted lower the ratio of their check, and of all exits', () => {
  const rows = audit([exit('io', 60), exit('hlt', 20)], { exits: 100, io_exits: 80, halt_exits: 20 });
  assert.deepEqual(
    rows.map(({ check, ratio }) => [check, ratio]),
    [
      ['exits', 0.8],
      ['io_exits', 0.75],
      ['halt_exits', 1],
    ],
  );
});

test('a statistic that does not move while its exits happen is not comparable', () => {
  const [exits, io] = audit([exit('io', 60)], { exits: 60, io_exits: 0 });
  assert.equal(exits?.ratio, 1);
  assert.equal(io?.ratio, Number.NaN);
  assert.match(io?.obstacle ?? '', /^io_exits does not move/);
});

test('where nothing happened there is no ratio, and no obstacle', () => {
  const row = audit([exit('io', 60)], { exits: 60, halt_exits: 0 })[1];
  assert.deepEqual(row, { check: 'halt_exits', kvm: 0, ours: 0, ratio: Number.NaN, obstacle: '' });
});

test('exits of a layer that the trace does not have are unknown', () => {
  const [exits, mmio] = audit(
    [exit('KVM_EXIT_MMIO', 5, 'qemu')],
    { exits: 60, mmio_exits: 5 },
    { kvm: false, qemu: true },
  );
  assert.deepEqual(exits, {
    check: 'exits',
    kvm: 60,
    ours: Number.NaN,
    ratio: Number.NaN,
    obstacle: 'the trace has no kvm_exit',
  });
  assert.equal(mmio?.ratio, 1);
});

test('of VMs that run VMs, and of encrypted ones, only the sum of all exits is comparable', () => {
  const statistics = { exits: 60, io_exits: 20, mmio_exits: 0 };
  const nested = audit([exit('io', 60)], { ...statistics, nested_run: 3 });
  const encrypted = audit([exit('vmgexit', 60)], statistics);
  for (const [exits, io] of [nested, encrypted]) {
    assert.equal(exits?.ratio, 1);
    assert.equal(io?.ratio, Number.NaN);
    assert.notEqual(io?.obstacle, '');
  }
});

test('the exits between two moments are a difference of sums', () => {
  const [before] = sumExits([exit('io', 10), exit('KVM_EXIT_IO', 4, 'qemu')]).values();
  const [after] = sumExits([exit('io', 25), exit('hlt', 1), exit('KVM_EXIT_IO', 9, 'qemu')]).values();
  assert.ok(before !== undefined && after !== undefined);
  const { ofLayer, ofCheck } = exitsBetween(before, after);
  assert.deepEqual(ofLayer, { kvm: 16, qemu: 5 });
  assert.deepEqual(ofCheck.slice(0, 3), [16, 15, 1]);
});
