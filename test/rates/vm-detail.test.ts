/** The row of a VM and the answer of /api/vm, from two snapshots ten seconds apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHistogram, recordDuration, summarize } from '../../src/count/counters/duration-histogram.js';
import { VmRates } from '../../src/rates/vm-rates.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import type { IoCount } from '../../src/snapshot/tables/io.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { findingOf } from '../support/agent/example-finding.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';
import { vmInfo } from '../support/agent/vm-info.js';

const VM = 'web/../1?&"';

/** Durations of exits: so many of each. */
function durationsOf(
  layer: 'kvm' | 'qemu',
  reason: string,
  ...parts: readonly (readonly [count: number, us: number])[]
) {
  const histogram = newHistogram();
  for (const [count, us] of parts) for (let i = 0; i < count; i++) recordDuration(histogram, us * 1000);
  return { vm: VM, layer, reason, ...summarize(histogram) };
}

const access = (row: Partial<IoCount>): IoCount => ({
  vm: VM,
  layer: 'qemu',
  bus: 'pio',
  direction: 'out',
  address: '0x1f7',
  device: '',
  count: 0,
  ...row,
});

/** Before the period, exits last a millisecond. In the period one in ten does, and the rest 10 us each. */
const BEFORE: Snapshot = {
  ...emptySnapshot(),
  vms: [vmInfo({ vm: VM, vcpus: 2 })],
  exits: [
    { vm: VM, vcpu: '0', layer: 'kvm', reason: 'npf', count: 1000 },
    { vm: VM, vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: 1000 },
  ],
  durations: [durationsOf('qemu', 'KVM_EXIT_IO', [1000, 1000])],
  io: [access({ count: 1000, device: 'ide1' })],
};
const AFTER: Snapshot = {
  ...emptySnapshot(),
  vms: [vmInfo({ vm: VM, vcpus: 2 })],
  exits: [
    { vm: VM, vcpu: '0', layer: 'kvm', reason: 'npf', count: 51_000 },
    { vm: VM, vcpu: '0', layer: 'kvm', reason: 'HLT', count: 300 },
    { vm: VM, vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: 1060 },
    { vm: VM, vcpu: '1', layer: 'qemu', reason: 'KVM_EXIT_IO', count: 40 },
    { vm: VM, vcpu: '1', layer: 'qemu', reason: 'restart', count: 70 },
  ],
  durations: [
    durationsOf('qemu', 'KVM_EXIT_IO', [1000, 1000], [90, 10], [10, 1000]),
    durationsOf('kvm', 'HLT', [300, 30_000]),
  ],
  causes: [
    { vm: VM, reason: 'io', userspaceReason: 'KVM_EXIT_IO', count: 90 },
    { vm: VM, reason: 'none', userspaceReason: 'KVM_EXIT_IO', count: 10 },
  ],
  io: [
    access({ count: 1030, device: 'ide1' }),
    access({ count: 25, device: 'ide1', direction: 'in', address: '0x1f0' }),
    access({ count: 50, address: '0x608' }),
    access({ count: 900, address: 'other' }),
    access({ count: 5000, layer: 'kvm', bus: 'mmio', address: '0xfee00000', device: 'apic' }),
  ],
  msrs: [
    { vm: VM, direction: 'write', msr: 'IA32_TSC_DEADLINE', count: 400 },
    { vm: VM, direction: 'write', msr: 'other', count: 900 },
  ],
  cpuidLeaves: [{ vm: VM, leaf: '0x1', count: 70 }],
  vcpuTimes: [
    vcpuTimes({ vm: VM, vcpu: '0', guestSeconds: 4, kvmSeconds: 2, qemuSeconds: 1 }),
    vcpuTimes({ vm: VM, vcpu: '1', guestSeconds: 6, kvmSeconds: 0, qemuSeconds: 3 }),
  ],
};

function ratesOf(before: Snapshot, after: Snapshot): VmRates {
  let nowMs = 0;
  const findings = [findingOf(VM), findingOf('another')];
  const rates = new VmRates(() => (nowMs === 0 ? before : after), { now: () => nowMs, findings: () => findings });
  rates.observe();
  nowMs = 10_000;
  rates.observe();
  return rates;
}

test('a row has time states of all vCPUs, and what to look at first', () => {
  const [row] = ratesOf(BEFORE, AFTER).current().vms;
  assert.deepEqual(row?.time_shares, {
    guest: 0.5,
    kvm: 0.1,
    qemu: 0.2,
    ready: null,
    idle: null,
    unknown: null,
  });
  const { seconds_per_second: seconds, ...top } = row.top_reason ?? assert.fail();
  assert.deepEqual(top, { layer: 'qemu', reason: 'KVM_EXIT_IO', exits_per_second: 10 });
  // 90 of 10 us and 10 of 1 ms, in 10 s.
  assert.ok(Math.abs((seconds ?? 0) - 0.00109) < 1e-9, String(seconds));
  assert.deepEqual(row.top_device, {
    layer: 'qemu',
    device: 'ide1',
    bus: 'pio',
    address: '0x1f7',
    accesses_per_second: 5.5,
  });
  const { rule } = findingOf(VM);
  assert.deepEqual(row.finding, { advice: rule.id, title: rule.title, severity: rule.severity, cost: 0.1 });
});

test('the device that is busiest is named by its address if it is not known', () => {
  const io = AFTER.io.filter(({ device }) => device !== 'ide1');
  const [row] = ratesOf(BEFORE, { ...AFTER, io }).current().vms;
  assert.deepEqual([row?.top_device?.device, row?.top_device?.address], [null, '0x608']);
});

test('durations are those of the period', () => {
  const { reasons } = ratesOf(BEFORE, AFTER).detail(VM) ?? assert.fail();
  const [io, npf, ...minor] = reasons.rows;
  assert.equal(io?.reason, 'KVM_EXIT_IO');
  assert.equal(io.exits, 100);
  const near = (value: number | null, expected: number, tolerance: number) =>
    assert.ok(value !== null && Math.abs(value / expected - 1) <= tolerance, `${value}, expected ${expected}`);
  near(io.mean_seconds, 109e-6, 1e-9);
  // A bucket is half an octave.
  near(io.p50_seconds, 10e-6, 0.5);
  near(io.p99_seconds, 1e-3, 0.5);
  // None of them was timed: no time is known, and not 0.
  const { exits_per_second, ...times } = npf ?? assert.fail();
  assert.deepEqual(times, {
    layer: 'kvm',
    reason: 'npf',
    exits: 50_000,
    sampling_error: null,
    seconds_per_second: null,
    mean_seconds: null,
    p50_seconds: null,
    p99_seconds: null,
  });
  assert.equal(exits_per_second, 5000);
  // Idle time is much and costs nothing; failed calls are no exits.
  assert.deepEqual(
    minor.map(({ reason }) => reason),
    ['HLT', 'restart'],
  );
});

test('what other exits of a VM were for, the sum of the rest last', () => {
  const { purposes } = ratesOf(BEFORE, AFTER).detail(VM) ?? assert.fail();
  assert.deepEqual(purposes.rows, [
    { event: 'MSR write', which: 'IA32_TSC_DEADLINE', times: 400, times_per_second: 40 },
    { event: 'CPUID', which: '0x1', times: 70, times_per_second: 7 },
    { event: 'MSR write', which: 'other', times: 900, times_per_second: 90 },
  ]);
});

test('a VM in detail', () => {
  const rates = ratesOf(BEFORE, AFTER);
  const { vm, seconds, vcpus, causes, devices, accesses, findings } = rates.detail(VM) ?? assert.fail();
  assert.equal(seconds, 10);
  assert.equal(vm, rates.current().vms[0]);
  assert.deepEqual(
    vcpus.rows.map(({ vcpu, kvm_exits_per_second, qemu_exits_per_second, time_shares }) => [
      vcpu,
      kvm_exits_per_second,
      qemu_exits_per_second,
      time_shares?.qemu,
      time_shares?.idle,
    ]),
    [
      ['0', 5030, 6, 0.1, null],
      ['1', 0, 4, 0.3, null],
    ],
  );
  assert.deepEqual(
    causes.rows.map(({ reason, exits }) => [reason, exits]),
    [
      ['io', 90],
      ['none', 10],
    ],
  );
  assert.deepEqual(
    devices.rows.map(({ layer, device, address, accesses: count }) => [layer, device, address, count]),
    [
      ['qemu', 'ide1', '0x1f7', 55],
      ['qemu', null, '0x608', 50],
      ['qemu', null, 'other', 900],
      ['kvm', 'apic', '0xfee00000', 5000],
    ],
  );
  assert.equal(accesses.rows.length, 5);
  assert.deepEqual(
    findings.rows.map((finding) => [finding.vm, finding.lasted_seconds]),
    [[VM, 300]],
  );
  assert.equal(rates.detail('web'), undefined);
});

test('a list has at most a hundred rows, and says how many more there are', () => {
  const exits = Array.from({ length: 250 }, (_, vcpu) => ({
    vm: VM,
    vcpu: String(vcpu),
    layer: 'kvm' as const,
    reason: `reason ${vcpu}`,
    count: 1000 - vcpu,
  }));
  const { vcpus, reasons } = ratesOf(BEFORE, { ...AFTER, exits }).detail(VM) ?? assert.fail();
  assert.deepEqual([vcpus.rows.length, vcpus.more], [100, 150]);
  assert.deepEqual([reasons.rows.length, reasons.more], [100, 150]);
  assert.equal(vcpus.rows.at(-1)?.vcpu, '99');
  assert.equal(reasons.rows[0]?.reason, 'reason 0');
});

test('no rate is known from one snapshot', () => {
  const rates = new VmRates(() => AFTER, { now: () => 0 });
  const { vm, seconds, reasons } = rates.detail(VM) ?? assert.fail();
  assert.equal(seconds, null);
  assert.deepEqual([vm.top_reason, vm.top_device, vm.time_shares.guest], [null, null, null]);
  assert.ok(reasons.rows.every(({ exits_per_second }) => exits_per_second === null));
});
