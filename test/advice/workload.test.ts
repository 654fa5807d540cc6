import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadsOf } from '../../src/advice/workload.js';
import { ExitColumns, ExitRows } from '../../src/snapshot/tables/exit-rows.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';

const REASONS = ['npf', 'KVM_EXIT_MMIO', 'cpuid'] as const;

/** Exits of vCPU 0 of `web`: [layer, reason, count]. */
function exits(...rows: readonly (readonly ['kvm' | 'qemu', (typeof REASONS)[number], number])[]): ExitRows {
  const columns = new ExitColumns();
  for (const [layer, reason, count] of rows) columns.add(0, layer, REASONS.indexOf(reason), count);
  return new ExitRows([{ vm: 'web', vcpu: '0' }], REASONS, columns);
}

test('rates are the difference of two snapshots by the time between them', () => {
  const older = { ...emptySnapshot(), exits: exits(['kvm', 'npf', 1000]) };
  const newer = { ...emptySnapshot(), exits: exits(['kvm', 'npf', 4000]) };
  const [workload] = workloadsOf(newer, older, 60);
  assert.equal(workload?.exits[0]?.perSecond, 50);
});

test('a sum that became smaller started from 0 again', () => {
  const older = { ...emptySnapshot(), exits: exits(['kvm', 'npf', 4000]) };
  const newer = { ...emptySnapshot(), exits: exits(['kvm', 'npf', 600]) };
  assert.equal(workloadsOf(newer, older, 60)[0]?.exits[0]?.perSecond, 10);
});

test('faults that went on to QEMU, or were accesses to a device of the kernel, are not faults in memory', () => {
  const snapshot = {
    ...emptySnapshot(),
    exits: exits(['kvm', 'npf', 1000], ['qemu', 'KVM_EXIT_MMIO', 300]),
    causes: [{ vm: 'web', reason: 'npf', userspaceReason: 'KVM_EXIT_MMIO', count: 300 }],
    io: [
      { vm: 'web', layer: 'kvm', bus: 'mmio', direction: 'out', address: '0xfee00000', device: 'lapic', count: 200 },
    ] as const,
    eventfds: [{ vm: 'web', kind: 'ioeventfd', seenBy: 'kvm', device: '', count: 100 }] as const,
  };
  const [workload] = workloadsOf(snapshot, undefined, 1);
  assert.equal(workload?.exits[0]?.handledPerSecond, 400);
  assert.equal(workload?.ioeventfdPerSecond, 100);
});

test('APICv is off for a VM if something of the VM keeps it off, and not if the host does', () => {
  const isOff = (...inhibits: readonly (readonly [reason: string, isOn: boolean])[]) => {
    const apicvInhibits = inhibits.map(([reason, isOn]) => ({ vm: 'web', reason, count: 1, isOn }));
    return workloadsOf({ ...emptySnapshot(), apicvInhibits, exits: exits(['kvm', 'npf', 1]) }, undefined, 1)[0]
      ?.isApicvOff;
  };
  assert.equal(isOff(['PIT_REINJ', true]), true);
  // KVM says so when it creates a VM, and takes it back once there is a local APIC.
  assert.equal(isOff(['ABSENT', false], ['PIT_REINJ', true]), true);
  assert.equal(isOff(['PIT_REINJ', false]), false);
  for (const ofHost of ['DISABLED', 'ABSENT', '0']) {
    assert.equal(isOff([ofHost, true]), false);
    // Nothing that a VM changes helps.
    assert.equal(isOff([ofHost, true], ['PIT_REINJ', true]), false);
  }
});

/** Durations of exits: `quick` of them are in the first bucket, and the rest is beyond the last one. */
const durations = (layer: 'kvm' | 'unknown', reason: string, count: number, sumSeconds: number, quick: number) => [
  {
    vm: 'web',
    layer,
    reason,
    count,
    sumSeconds,
    minSeconds: 0,
    maxSeconds: 1,
    p50Seconds: 0,
    p99Seconds: 0,
    buckets: Array.from({ length: 40 }, () => quick),
    halfOctaves: [],
  },
];

test('mean and percentile are those of the period', () => {
  const of = (exitsToKvm: number, ...timed: readonly [count: number, seconds: number, quick: number]) => ({
    ...emptySnapshot(),
    exits: exits(['kvm', 'npf', exitsToKvm]),
    durations: durations('kvm', 'npf', ...timed),
  });
  const [rate] = workloadsOf(of(300, 300, 102, 200), of(100, 100, 100, 0), 60)[0]?.exits ?? [];
  assert.equal(rate?.meanSeconds, 0.01);
  assert.ok((rate?.p99Seconds ?? 1) < 0.00001);
});

test('an instruction costs the time until the next entry, also if it is not known who handled it; a fault does not', () => {
  const meanOf = (reason: (typeof REASONS)[number]) =>
    workloadsOf(
      {
        ...emptySnapshot(),
        exits: exits(['kvm', reason, 300]),
        durations: durations('unknown', reason, 200, 4, 0),
      },
      undefined,
      60,
    )[0]?.exits[0]?.meanSeconds;
  assert.deepEqual([meanOf('cpuid'), meanOf('npf')], [0.02, undefined]);
});

test('the number of vCPUs is the one that is known, and threads of no known VM have no workload', () => {
  const snapshot = {
    ...emptySnapshot(),
    exits: exits(['kvm', 'npf', 1]),
    vms: [vmInfo({ vm: 'web', vcpus: 4 })],
  };
  const columns = new ExitColumns();
  columns.add(0, 'kvm', 0, 1);
  const unknown = new ExitRows([{ vm: '', vcpu: '' }], REASONS, columns);
  assert.equal(workloadsOf(snapshot, undefined, 1)[0]?.vcpus, 4);
  assert.deepEqual(workloadsOf({ ...snapshot, exits: unknown }, undefined, 1), []);
});
