import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHistogram, recordDuration, summarize } from '../../src/count/counters/duration-histogram.js';
import { snapshotBetween } from '../../src/snapshot/snapshot-between.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';

const labels = { vm: 'a', vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO' } as const;

function durations(...us: readonly number[]) {
  const histogram = newHistogram();
  for (const each of us) recordDuration(histogram, each * 1000);
  return [{ vm: 'a', layer: 'qemu', reason: 'KVM_EXIT_IO', ...summarize(histogram) } as const];
}

test('counts are those between two snapshots, and what did not happen has no row', () => {
  const older = {
    ...emptySnapshot(),
    exits: [
      { ...labels, count: 10 },
      { ...labels, vcpu: '1', count: 7 },
    ],
    tracepoints: [{ name: 'kvm_userspace_exit', count: 17 }],
    unattributedEvents: 3,
  };
  const newer = {
    ...emptySnapshot(),
    exits: [
      { ...labels, count: 110 },
      { ...labels, vcpu: '1', count: 7 },
      { ...labels, vcpu: '2', count: 5 },
    ],
    tracepoints: [{ name: 'kvm_userspace_exit', count: 122 }],
    unattributedEvents: 3,
  };
  const { exits, tracepoints, unattributedEvents } = snapshotBetween(older, newer, 1);
  assert.deepEqual(exits, [
    { ...labels, count: 100 },
    { ...labels, vcpu: '2', count: 5 },
  ]);
  assert.deepEqual(tracepoints, [{ name: 'kvm_userspace_exit', count: 105 }]);
  assert.equal(unattributedEvents, 0);
});

test('an address whose device gets known in between has only the accesses, and the time, of that time', () => {
  const address = { vm: 'a', layer: 'qemu', bus: 'pio', direction: 'out', address: '0x80' } as const;
  const older = { ...emptySnapshot(), io: [{ ...address, device: 'post_code', count: 2000, qemuSeconds: 0.5 }] };
  const newer = { ...emptySnapshot(), io: [{ ...address, device: 'ioport80', count: 12_400, qemuSeconds: 1.75 }] };
  assert.deepEqual(snapshotBetween(older, newer, 1).io, [
    { ...address, device: 'ioport80', count: 10_400, qemuSeconds: 1.25 },
  ]);
});

test('quantiles are those of the time between', () => {
  const before = [5000, 6000, 7000];
  const inside = [10, 10, 10, 10, 10, 10, 10, 10, 10, 400];
  const older = { ...emptySnapshot(), durations: durations(...before) };
  const newer = { ...emptySnapshot(), durations: durations(...before, ...inside) };
  const [row] = snapshotBetween(older, newer, 1).durations;
  assert.equal(row?.count, 10);
  assert.ok(Math.abs((row.sumSeconds ?? 0) - 490e-6) < 1e-9, String(row.sumSeconds));
  // Exact to half an octave.
  assert.ok(row.p50Seconds > 10e-6 / 1.5 && row.p50Seconds < 10e-6 * 1.5, String(row.p50Seconds));
  assert.ok(row.p99Seconds > 400e-6 / 1.5 && row.p99Seconds < 400e-6 * 1.5, String(row.p99Seconds));
});

test('a vCPU gains no more time than there is, and what is not known stays unknown', () => {
  const older = { ...emptySnapshot(), vcpuTimes: [vcpuTimes({ vm: 'a', vcpu: '0', guestSeconds: 5, qemuSeconds: 1 })] };
  const newer = {
    ...emptySnapshot(),
    vcpuTimes: [
      vcpuTimes({ vm: 'a', vcpu: '0', guestSeconds: 5.5, qemuSeconds: 1.25 }),
      // It was first read 20 seconds ago.
      vcpuTimes({ vm: 'a', vcpu: '1', guestSeconds: 15, qemuSeconds: 5 }),
    ],
  };
  const rows = snapshotBetween(older, newer, 1).vcpuTimes.map(({ guestSeconds, kvmSeconds, qemuSeconds }) => [
    guestSeconds,
    kvmSeconds,
    qemuSeconds,
  ]);
  assert.deepEqual(rows, [
    [0.5, undefined, 0.25],
    [0.75, undefined, 0.25],
  ]);
});
