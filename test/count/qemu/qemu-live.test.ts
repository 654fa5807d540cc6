/**
 * Each exit is counted once, live: by the kernel or by QEMU, which may take turns. Expected counts were made by hand.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/count/ledger.js';
import type { QemuCounts } from '../../../src/count/qemu/qemu-counts.js';
import type { Attribution } from '../../../src/count/thread-owners.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import { IRQ_NOTIFY, IRQFD_DEFERRED, IRQFD_NOTIFY, NOTIFY_WRITE, QUEUE_NOTIFY } from '../../../src/trace/sink.js';

const VM_A = { label: 'vm-a' };
/** 101 and 102 are vCPU 0 and 1 of vm-a, 100 is its main thread. */
const OWNERS: Attribution = {
  ownerOf: (tid) => ({
    vm: tid >= 100 && tid < 103 ? VM_A : undefined,
    vcpu: tid === 101 || tid === 102 ? String(tid - 101) : '',
  }),
};

const IO = 'KVM_EXIT_IO';

function run(ledger: Ledger, counts: QemuCounts, times: number, id = 101): void {
  for (let i = 0; i < times; i++) {
    counts.qemuEvent(1, id, ledger.vocabulary.qemuEvents.id('kvm_run_exit'));
    counts.qemuRunExit(1, id, 0, ledger.vocabulary.reasons.id(IO));
  }
}

function qemuExits(ledger: Ledger): number {
  return [...takeSnapshot(ledger.totals()).exits].reduce(
    (sum, { layer, count }) => sum + (layer === 'qemu' ? count : 0),
    0,
  );
}

function runExits(ledger: Ledger): number {
  return [...takeSnapshot(ledger.totals()).qemuEvents].reduce((sum, { count }) => sum + count, 0);
}

test('with a live kernel trace the kernel counts for all VMs, and the log is a cross-check', () => {
  const ledger = new Ledger(OWNERS);
  const kernel = ledger.kernelSource('tracefs');
  ledger.kernelCountsAll = true;
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  run(ledger, log, 5);
  assert.deepEqual([qemuExits(ledger), runExits(ledger)], [0, 5]);
  for (let i = 0; i < 3; i++) kernel.userspaceExit(1, 0, 101, ledger.vocabulary.reasons.id(IO));
  assert.deepEqual([qemuExits(ledger), runExits(ledger)], [3, 5]);
});

test('no counter decreases and nothing is counted twice when kernel and log take over from each other', () => {
  const ledger = new Ledger(OWNERS);
  const kernel = ledger.kernelSource('tracefs');
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  const both = (times: number, kernelToo: boolean) => {
    run(ledger, log, times);
    for (let i = 0; kernelToo && i < times; i++) kernel.userspaceExit(1, 0, 101, ledger.vocabulary.reasons.id(IO));
  };
  const counts = [];
  both(100, false);
  counts.push(qemuExits(ledger));
  ledger.kernelCountsAll = true;
  counts.push(qemuExits(ledger));
  both(10, true);
  counts.push(qemuExits(ledger));
  ledger.kernelCountsAll = false;
  counts.push(qemuExits(ledger));
  both(7, false);
  counts.push(qemuExits(ledger));
  ledger.kernelCountsAll = true;
  both(1, true);
  counts.push(qemuExits(ledger));
  assert.deepEqual(counts, [100, 100, 110, 110, 117, 118]);
  assert.equal(runExits(ledger), 118);
});

test('exits and events that several backends report are counted once', () => {
  const ledger = new Ledger(OWNERS);
  const owner = { labelOf: () => 'vm-a' };
  run(ledger, ledger.qemu.add('log', owner), 10);
  run(ledger, ledger.qemu.add('simple', owner), 12, 100);
  run(ledger, ledger.kernelSource('markers').markers, 11);
  assert.deepEqual([qemuExits(ledger), runExits(ledger)], [12, 12]);
});

test('the files of one backend share the metrics of their source', () => {
  const ledger = new Ledger(OWNERS);
  const source = ledger.qemuBackend('log');
  assert.deepEqual(
    takeSnapshot(ledger.totals()).sources.map(({ source: name, events }) => [name, events]),
    [['qemu_log', 0]],
  );
  const first = ledger.qemu.add('log', { labelOf: () => 'vm-a' }, source);
  run(ledger, first, 3);
  run(ledger, ledger.qemu.add('log', { labelOf: () => 'vm-b' }, source), 4);
  ledger.qemu.drop(first);
  assert.deepEqual(
    takeSnapshot(ledger.totals()).sources.map(({ source: name, events }) => [name, events]),
    [['qemu_log', 7]],
  );
  assert.equal(qemuExits(ledger), 4);
});

test('forgetting a VM drops its counts and keeps those of other VMs in the same file', () => {
  const ledger = new Ledger(OWNERS);
  const vmOf = (id: number) => (id === 101 ? VM_A : undefined);
  const log = ledger.qemu.add('log', { labelOf: (id) => (id === 101 ? 'vm-a' : 'vm-b'), vmOf });
  run(ledger, log, 3, 101);
  run(ledger, log, 4, 202);
  ledger.forget(VM_A);
  assert.deepEqual(
    takeSnapshot(ledger.totals()).exits.map(({ vm, count }) => [vm, count]),
    [['vm-b', 4]],
  );
});

/** `kind device` -> count, as QEMU sees them. */
function signals(ledger: Ledger): Record<string, number> {
  const own = takeSnapshot(ledger.totals()).eventfds.filter(({ seenBy }) => seenBy === 'qemu');
  return Object.fromEntries(own.map(({ kind, device, count }) => [`${kind} ${device}`, count]));
}

function signal(
  ledger: Ledger,
  counts: QemuCounts,
  id: number,
  ...kinds: Parameters<QemuCounts['qemuSignal']>[2][]
): void {
  for (const kind of kinds) {
    counts.qemuEvent(1, id, ledger.vocabulary.qemuEvents.id('x'));
    counts.qemuSignal(1, id, kind, 0x5000);
  }
}

test('a kick came by ioeventfd unless a write announced it or a vCPU thread handled it', () => {
  const ledger = new Ledger(OWNERS);
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a', isVcpu: (id) => id === 101 });
  signal(ledger, log, 100, QUEUE_NOTIFY, QUEUE_NOTIFY, NOTIFY_WRITE, QUEUE_NOTIFY);
  signal(ledger, log, 101, QUEUE_NOTIFY, NOTIFY_WRITE, QUEUE_NOTIFY);
  assert.deepEqual(signals(ledger), { 'ioeventfd ': 2, 'kick ': 3 });
});

test('interrupts by irqfd are counted once if QEMU reports each twice and merges some', () => {
  const ledger = new Ledger(OWNERS);
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  signal(
    ledger,
    log,
    100,
    IRQFD_NOTIFY,
    IRQFD_DEFERRED,
    IRQFD_NOTIFY,
    IRQFD_NOTIFY,
    IRQFD_NOTIFY,
    IRQFD_DEFERRED,
    IRQ_NOTIFY,
  );
  assert.deepEqual(signals(ledger), { 'irqfd ': 2, 'interrupt ': 1 });
});

test('a device gets its name from its own events, or from the MSI route after its status', () => {
  const ledger = new Ledger(OWNERS);
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  signal(ledger, log, 100, QUEUE_NOTIFY);
  log.qemuDevice(101, 0x5000, '');
  log.qemuDevice(101, 0, 'virtio-net');
  signal(ledger, log, 100, QUEUE_NOTIFY, QUEUE_NOTIFY);
  log.qemuDevice(100, 0x6000, 'virtio-blk');
  log.qemuSignal(1, 100, QUEUE_NOTIFY, 0x6000);
  assert.deepEqual(signals(ledger), { 'ioeventfd ': 1, 'ioeventfd virtio-net': 2, 'ioeventfd virtio-blk': 1 });
});

/** A write that stays in the kernel. */
function keptWrite(ledger: Ledger, kernel: ReturnType<Ledger['kernelSource']>, gpa: number): void {
  const npf = ledger.vocabulary.reasons.id('npf');
  kernel.vmExit(1, 0, 101, 0, npf, 0);
  kernel.mmio(2, 0, 101, 2, gpa);
  kernel.vmEntry(3, 0, 101, 0);
}

function kernelKicks(ledger: Ledger): number {
  const own = takeSnapshot(ledger.totals()).eventfds.filter(
    ({ seenBy, kind }) => seenBy === 'kvm' && kind === 'ioeventfd',
  );
  return own.reduce((sum, { count }) => sum + count, 0);
}

test("QEMU's table of ioeventfds separates kicks from other writes that stay in the kernel", () => {
  const ledger = new Ledger(OWNERS);
  const kernel = ledger.kernelSource('tracefs');
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  // Without the table, every write to an address without a device of the kernel counts as a kick.
  keptWrite(ledger, kernel, 0xfebf_b000);
  keptWrite(ledger, kernel, 0xfebd_0000);
  ledger.resolveOwners(0);
  assert.equal(kernelKicks(ledger), 2);
  signal(ledger, log, 100, QUEUE_NOTIFY);
  log.setIoeventfd(100, true, 0xfebf_b004, true);
  ledger.resolveOwners(0);
  keptWrite(ledger, kernel, 0xfebf_b004);
  keptWrite(ledger, kernel, 0xfebf_b000); // the same page, but no queue's address
  keptWrite(ledger, kernel, 0xfebd_0000); // another device's, whose writes QEMU lets KVM collect
  assert.equal(kernelKicks(ledger), 3);
  // An ioeventfd is taken back that was never assigned: the table is incomplete, so it is not used.
  log.setIoeventfd(100, true, 0xfebf_c000, false);
  ledger.resolveOwners(0);
  keptWrite(ledger, kernel, 0xfebf_d000);
  assert.equal(kernelKicks(ledger), 4);
});

test('a log of no known VM changes no figure of the threads of no known VM', () => {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '0' }) });
  const kernel = ledger.kernelSource('tracefs');
  const log = ledger.qemu.add('log', { labelOf: () => '' });
  signal(ledger, log, 100, QUEUE_NOTIFY);
  log.setIoeventfd(100, true, 0xfebf_b004, true);
  log.qemuRegion(100, 0xfebd_0010, 'forged');
  ledger.resolveOwners(0);
  // With the table of the log, this write to another address would be no kick.
  keptWrite(ledger, kernel, 0xfebd_0000);
  assert.equal(kernelKicks(ledger), 1);
  assert.deepEqual(
    [...takeSnapshot(ledger.totals()).io].map(({ device }) => device),
    [''],
  );
});

test("QEMU's names of memory regions name devices that have no other name", () => {
  const ledger = new Ledger(OWNERS);
  const kernel = ledger.kernelSource('tracefs');
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  signal(ledger, log, 100, QUEUE_NOTIFY);
  log.qemuRegion(100, 0xc000_0010, 'e1000-mmio');
  log.qemuRegion(100, 0x80, 'ioport80');
  keptWrite(ledger, kernel, 0xc000_0020);
  takeSnapshot(ledger.totals());
  keptWrite(ledger, kernel, 0xc000_0020);
  assert.deepEqual(
    takeSnapshot(ledger.totals()).io.map(({ address, device }) => `${address} ${device}`),
    ['0xc0000000 e1000-mmio'],
  );
});

test('counts of a log with very many thread ids are bounded', () => {
  const ledger = new Ledger(OWNERS);
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-a' });
  for (let id = 1; id <= 20_000; id++) run(ledger, log, 1, id);
  assert.ok(log.events.size <= 4097 && log.runExits.size <= 4097);
  assert.deepEqual([qemuExits(ledger), runExits(ledger)], [20_000, 20_000]);
});
