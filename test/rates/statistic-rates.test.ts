/** Rates from KVM's own statistics, which are read more seldom than the page is observed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_STATISTICS, StatisticRates } from '../../src/rates/statistic-rates.js';
import { VmRates } from '../../src/rates/vm-rates.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { tableCells } from '../../src/web/vm-table.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';

/** Statistics of a VM with two vCPUs, read at a time. */
function readAt(seconds: number, values: Readonly<Record<string, number>>): Snapshot {
  const statTotals = Object.entries(values).flatMap(([stat, value]) =>
    ['0', '1'].map((vcpu) => ({ vm: 'a', vcpu, stat, value: value / 2, readMs: seconds * 1000 })),
  );
  return { ...emptySnapshot(), statTotals, vms: [vmInfo({ vm: 'a', vcpus: 2 })] };
}

test('a rate is that between two readings, and stays until the next', () => {
  const rates = new StatisticRates();
  rates.observe(readAt(10, { exits: 1000, io_exits: 400 }));
  assert.deepEqual(rates.of('a'), NO_STATISTICS);
  rates.observe(readAt(20, { exits: 6000, io_exits: 1400 }));
  rates.observe(readAt(20, { exits: 6000, io_exits: 1400 }));
  assert.deepEqual(rates.of('a'), { exits: 500, io: 100, mmio: null, halts: null });
  rates.observe(readAt(30, { exits: 6000, io_exits: 1400 }));
  assert.deepEqual(rates.of('a'), { exits: 0, io: 0, mmio: null, halts: null });
  rates.observe(emptySnapshot());
  assert.deepEqual(rates.of('a'), NO_STATISTICS);
});

test('arm64 has other names', () => {
  const rates = new StatisticRates();
  rates.observe(readAt(0, { exits: 10, mmio_exit_user: 2, wfi_exit_stat: 4 }));
  rates.observe(readAt(10, { exits: 110, mmio_exit_user: 22, wfi_exit_stat: 44 }));
  assert.deepEqual(rates.of('a'), { exits: 10, io: null, mmio: 2, halts: 4 });
});

test('without tracing, the page shows what KVM counts, and that exits to QEMU are not known', () => {
  let seconds = 0;
  const rates = new VmRates(
    () => readAt(seconds, { exits: 500 * seconds, io_exits: 100 * seconds, halt_exits: 7 * seconds }),
    { now: () => seconds * 1000 },
  );
  for (seconds of [10, 20]) rates.observe();
  const [row] = rates.current().vms;
  assert.equal(row?.kvm_exits_per_second, 500);
  assert.equal(row.qemu_exits_per_second, null);
  assert.equal(row.share_reaching_qemu, null);
  assert.deepEqual(tableCells(rates.current())[0]?.slice(0, 8), [
    'a',
    '2',
    '500',
    'unknown',
    'unknown',
    '100',
    'unknown',
    '7',
  ]);
});

test("a share is unknown where KVM's statistics are of a time with fewer exits than the trace", () => {
  let seconds = 0;
  let reading = 0;
  const rates = new VmRates(
    () => ({
      ...readAt(reading, { exits: 100 * reading }),
      exits: [{ vm: 'a', vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: seconds > 20 ? 1500 : 0 }],
    }),
    { now: () => seconds * 1000, windowMs: 0 },
  );
  for ([seconds, reading] of [
    [10, 10],
    [20, 20],
    [30, 20],
  ] as const)
    rates.observe();
  const [row] = rates.current().vms;
  assert.deepEqual([row?.kvm_exits_per_second, row?.qemu_exits_per_second, row?.share_reaching_qemu], [100, 150, null]);
});

test("with sampling, the rate of exits comes from KVM's statistics, which are exact, and not from late estimates", () => {
  let seconds = 0;
  const rates = new VmRates(
    () => ({
      ...readAt(seconds, { exits: 100 * seconds }),
      sampledFraction: 0.1,
      exits: [
        // Estimates of a time with fewer exits.
        { vm: 'a', vcpu: '0', layer: 'kvm', reason: 'io', count: 20 * seconds },
        { vm: 'a', vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: 40 * seconds },
      ],
    }),
    { now: () => seconds * 1000, windowMs: 0 },
  );
  for (seconds of [10, 20]) rates.observe();
  const [row] = rates.current().vms;
  assert.deepEqual([row?.kvm_exits_per_second, row?.qemu_exits_per_second, row?.share_reaching_qemu], [100, 40, 0.4]);
});

test('with sampling, a share is unknown where more exits reached QEMU than late estimates have', () => {
  let seconds = 0;
  const rates = new VmRates(
    () => ({
      ...emptySnapshot(),
      vms: [vmInfo({ vm: 'a', vcpus: 1 })],
      sampledFraction: 0.1,
      exits: [
        { vm: 'a', vcpu: '0', layer: 'kvm', reason: 'io', count: 20 * seconds },
        { vm: 'a', vcpu: '0', layer: 'qemu', reason: 'KVM_EXIT_IO', count: 40 * seconds },
      ],
    }),
    { now: () => seconds * 1000, windowMs: 0 },
  );
  for (seconds of [10, 20]) rates.observe();
  const [row] = rates.current().vms;
  assert.deepEqual([row?.kvm_exits_per_second, row?.share_reaching_qemu], [20, null]);
});
