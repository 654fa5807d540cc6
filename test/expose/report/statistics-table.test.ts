/** KVM's own statistics in the answer of `stat`. Expected figures are worked out by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditPeriod } from '../../../src/audit/audit-recording.js';
import type { StatisticGrowth } from '../../../src/count/statistics/statistic-growth.js';
import type { Recorded } from '../../../src/expose/report/recorded.js';
import { reportData } from '../../../src/expose/report/report.js';
import { reportCsv } from '../../../src/expose/report/report-csv.js';
import { reportTable } from '../../../src/expose/report/report-table.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { vmInfo } from '../../support/agent/vm-info.js';

const exits = (vcpu: string, count: number) =>
  ({ vm: 'web', vcpu, layer: 'qemu', reason: 'KVM_EXIT_IO', count }) as const;
const grown = (vcpu: string, stat: string, growth: number): StatisticGrowth => ({
  vm: 'web',
  vcpu,
  stat,
  isTime: stat.endsWith('_ns'),
  growth,
  seconds: 2,
});

function answer(statistics: readonly StatisticGrowth[], vcpus: number): Recorded {
  const counted = Array.from({ length: vcpus }, (_, vcpu) => exits(String(vcpu), 300));
  return {
    isLive: true,
    snapshot: {
      ...emptySnapshot(),
      exits: counted,
      vms: [{ ...vmInfo({ vm: 'web' }), vcpus }],
      tracepoints: [{ name: 'kvm_userspace_exit', count: 300 * vcpus }],
    },
    time: { seconds: 2, startSeconds: undefined, endSeconds: undefined },
    statistics,
    audit: [],
    undecidedExits: 0,
    disabledAdvice: [],
  };
}

test('where the trace has no kvm_exit, the VM exits are those that KVM counted', () => {
  const text = reportTable(answer([grown('', 'exits', 1200)], 1), 'qemu', 10);
  assert.match(text, /^2 s: 1,200 VM exits \(600\/s\), 25\.0 % of them went on to QEMU \(150\/s\)\./);
  assert.match(text, /^VM exits are those that KVM counted itself/m);
  assert.match(text, /^web +0 +1,200 +600 +300 +150 +25\.0 % +unknown$/m);
});

test('a sum over all vCPUs is not divided among them; figures by vCPU are theirs', () => {
  const bySum = reportTable(answer([grown('', 'exits', 1200)], 2), 'qemu', 10);
  assert.match(bySum, /^web +all +1,200 +600 +600 +300 +50\.0 %/m);
  assert.match(bySum, /^web +1 +unknown +unknown +300 +150 +unknown/m);
  const byVcpu = reportTable(answer([grown('0', 'exits', 400), grown('1', 'exits', 800)], 2), 'qemu', 10);
  assert.match(byVcpu, /^web +all +1,200 /m);
  assert.match(byVcpu, /^web +0 +400 +200 +300 +150 +75\.0 %/m);
  assert.match(byVcpu, /^web +1 +800 /m);
});

test('without statistics, VM exits stay unknown, and the answer says where to look', () => {
  const text = reportTable(answer([], 1), 'qemu', 10);
  assert.match(
    text,
    /how many VM exits there were is not shown by this host's KVM \(no kvm_exit\); its own statistics/,
  );
  assert.match(text, /^web +0 +unknown +unknown +300 /m);
});

test('a VM that raised no event is there with what KVM counted', () => {
  const { snapshot, ...rest } = answer([{ ...grown('', 'exits', 50), vm: 'quiet' }], 1);
  const { totals } = reportData({ ...rest, snapshot }, 'qemu');
  assert.deepEqual(
    totals.map(({ vm, kvm_exits: kvm, qemu_exits: qemu }) => [vm, kvm, qemu]),
    [
      ['web', null, 300],
      ['quiet', 50, 0],
    ],
  );
});

test('statistics are listed with totals and rates: events first, times as parts of a vCPU', () => {
  const statistics = [
    grown('0', 'halt_poll_fail_ns', 0.5),
    grown('1', 'halt_poll_fail_ns', 0.25),
    grown('0', 'exits', 700),
    grown('1', 'exits', 500),
    grown('0', 'nmi_injections', 0),
  ];
  const recorded = answer(statistics, 2);
  const [, table] = /KVM's own statistics\n\n([\s\S]*?)\n\n/.exec(reportTable(recorded, 'qemu', 10)) ?? [];
  assert.deepEqual(table?.split('\n'), [
    'VM   statistic           total   per s',
    'web  exits               1,200     600',
    'web  halt_poll_fail_ns  750 ms  37.5 %',
  ]);
  assert.deepEqual(reportData(recorded, 'qemu').kvm_statistics.slice(1, 3), [
    { vm: 'web', vcpu: '1', stat: 'halt_poll_fail_ns', count: null, seconds: 0.25, per_second: 0.125 },
    { vm: 'web', vcpu: '0', stat: 'exits', count: 700, seconds: null, per_second: 350 },
  ]);
  assert.match(reportCsv(recorded, 'qemu'), /^kvm_statistics,web,0,,,700,/m);
});

test('halt polling that burns a third of a vCPU is a finding', () => {
  const polling = [grown('', 'halt_poll_fail_ns', 0.5), grown('', 'halt_poll_success_ns', 0.16)];
  const findings = reportData(answer(polling, 1), 'qemu').findings ?? [];
  const found = findings.find(({ advice }) => advice === 'halt-polling');
  assert.ok(Math.abs((found?.cost ?? 0) - 0.33) < 1e-9, JSON.stringify(findings));
  const none = reportData(answer([], 1), 'qemu').findings ?? [];
  assert.ok(!none.some(({ advice }) => advice === 'halt-polling'));
});

test('our counts are held against what KVM counted between the inner and the outer readings', () => {
  const counted = {
    exits: [{ vm: 'web', layer: 'qemu', reason: 'KVM_EXIT_MMIO', count: 1005 }],
    traced: { kvm: false, qemu: true },
    hasLost: false,
  };
  const checks = (atLeast: number, atMost: number) =>
    auditPeriod(counted, [
      { vm: 'web', atLeast: new Map([['mmio_exits', atLeast]]), atMost: new Map([['mmio_exits', atMost]]) },
    ]).map(({ check, ours, ratio }) => [check, ours, ratio]);
  assert.deepEqual(checks(1000, 1010), [['mmio_exits', 1005, 1]]);
  assert.deepEqual(checks(2010, 2020), [['mmio_exits', 1005, 0.5]]);
});
