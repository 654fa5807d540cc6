/** VMs of which all events are counted, beside sampled ones. The expected numbers are made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelCounts } from '../../../src/count/kernel-counts.js';
import { Ledger } from '../../../src/count/ledger.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const SECOND = 1000;
const INJECTOR = 5;
const EXITS = { kind: 'total', isTime: false, length: 1, name: 'exits' } as const;

/** VMs `a` and `b` with one vCPU each, whose threads are 7 and 9. */
class Host {
  readonly ledger = new Ledger(
    { ownerOf: (tid) => ({ vm: { label: tid === 9 ? 'b' : 'a' }, vcpu: tid === INJECTOR ? '' : '0' }) },
    { isSampled: true },
  );
  readonly #counts: KernelCounts = this.ledger.kernelSource('tracefs');
  #timeNs = 0;
  readonly #kvm = new Map<string, number>();

  constructor() {
    for (const vm of ['a', 'b']) this.kvmCounts(vm, 1_000_000);
    this.ledger.sampling.begin(0);
  }

  exit(tid: number, reason: string): void {
    this.#counts.vmExit(this.#next(), 0, tid, 0, this.ledger.vocabulary.reasons.id(reason), 0);
  }

  entry(tid: number): void {
    this.#counts.vmEntry(this.#next(), 0, tid, 0);
  }

  exits(tid: number, reason: string, times: number): void {
    for (let i = 0; i < times; i++) {
      this.exit(tid, reason);
      this.entry(tid);
    }
  }

  interrupts(times: number): void {
    for (let i = 0; i < times; i++) this.#counts.interrupt(this.#next(), 0, INJECTOR);
  }

  kvmCounts(vm: string, more: number): void {
    const count = (this.#kvm.get(vm) ?? 0) + more;
    this.#kvm.set(vm, count);
    this.ledger.statistics.add(vm, vm, {
      door: 'debugfs',
      parts: [{ key: '', vcpu: '', values: [[EXITS, count]] }],
    });
  }

  /** A window of the second after `startMs`. Returns the part of the busiest vCPU. */
  window(startMs: number, seen: () => void): number {
    this.ledger.sampling.openWindow(startMs);
    seen();
    return this.ledger.sampling.closeWindow(startMs + SECOND);
  }

  endPeriod(nowMs: number): void {
    this.ledger.sampling.endPeriod(nowMs, () => false);
  }

  snapshotAt(nowMs: number) {
    return takeSnapshot(this.ledger.totals(nowMs));
  }

  /** `reason` -> exits to KVM. */
  shownAt(nowMs: number, vm = 'a'): Record<string, number> {
    const rows = this.snapshotAt(nowMs).exits.filter((row) => row.vm === vm && row.layer === 'kvm');
    return Object.fromEntries(rows.map(({ reason, count }) => [reason, count]));
  }

  #next(): number {
    this.#timeNs += 1000;
    return this.#timeNs;
  }
}

const mix = (host: Host, tid: number) => () => {
  host.exits(tid, 'io', 75);
  host.exits(tid, 'hlt', 25);
};

test('exits of a VM in focus are shown at once as they are counted, in windows and between, whatever KVM says', () => {
  const host = new Host();
  host.ledger.sampling.focus('a', 0, false);
  host.exits(7, 'io', 30);
  assert.deepEqual(host.shownAt(SECOND), { io: 30 });
  host.kvmCounts('a', 50);
  host.kvmCounts('b', 1000);
  host.window(5 * SECOND, () => {
    mix(host, 9)();
    host.exits(7, 'io', 5);
    host.exits(7, 'hlt', 2);
  });
  assert.deepEqual(host.shownAt(7 * SECOND), { io: 35, hlt: 2 });
  host.endPeriod(10 * SECOND);
  host.exits(7, 'hlt', 1);
  for (const seconds of [10, 15, 20, 90]) assert.deepEqual(host.shownAt(seconds * SECOND), { io: 35, hlt: 3 });
  // The other VM is estimated as ever.
  assert.deepEqual(host.shownAt(15 * SECOND, 'b'), { io: 375, hlt: 125 });
  assert.deepEqual(host.shownAt(20 * SECOND, 'b'), { io: 750, hlt: 250 });
  const { focusedVms, samplingErrors } = host.snapshotAt(90 * SECOND);
  assert.deepEqual(focusedVms, [{ vm: 'a', focused: 1 }]);
  const ofFocused = samplingErrors.filter(({ vm }) => vm === 'a');
  assert.deepEqual(ofFocused, [
    { vm: 'a', reason: 'io', count: 35, low: 35, high: 35 },
    { vm: 'a', reason: 'hlt', count: 2, low: 2, high: 2 },
  ]);
});

test('what happened before the focus is estimated, and what happens after it too; no exit counts twice', () => {
  const host = new Host();
  host.kvmCounts('a', 1000);
  host.window(5 * SECOND, mix(host, 7));
  host.endPeriod(10 * SECOND);
  host.kvmCounts('a', 200);
  host.ledger.sampling.focus('a', 12 * SECOND, false);
  host.exits(7, 'io', 40);
  host.kvmCounts('a', 40);
  // 1,000 exits of the first period and 200 before the focus have the shares of the window: 3 to 1.
  assert.deepEqual(host.shownAt(14 * SECOND), { io: 750 + 150 + 40, hlt: 250 + 50 });
  host.window(15 * SECOND, () => host.exits(7, 'io', 10));
  host.kvmCounts('a', 10);
  host.endPeriod(20 * SECOND);
  host.exits(7, 'io', 5);
  host.kvmCounts('a', 5);
  host.ledger.sampling.unfocus('a', 22 * SECOND);
  assert.deepEqual(host.snapshotAt(22 * SECOND).focusedVms, []);
  // Events of threads that are not forgotten yet do not count.
  host.exits(7, 'io', 3);
  host.kvmCounts('a', 100);
  host.window(25 * SECOND, () => {
    host.exits(7, 'io', 8);
    host.exits(7, 'hlt', 2);
  });
  assert.deepEqual(host.shownAt(26 * SECOND), { io: 955, hlt: 300 });
  host.endPeriod(30 * SECOND);
  assert.deepEqual(host.shownAt(60 * SECOND), { io: 955 + 80, hlt: 300 + 20 });
});

test('exits before the focus of a VM that no window has seen are shown without a reason', () => {
  const host = new Host();
  host.kvmCounts('a', 30);
  host.ledger.sampling.focus('a', 5 * SECOND, false);
  host.exits(7, 'io', 40);
  assert.deepEqual(host.shownAt(60 * SECOND), { io: 40, other: 30 });
});

test('once more threads of a VM are in focus, what they did before is added by the count of KVM', () => {
  const host = new Host();
  host.ledger.sampling.focus('a', 0, false);
  host.exits(7, 'io', 40);
  host.kvmCounts('a', 100);
  host.ledger.sampling.focus('a', 2 * SECOND, false);
  host.exits(7, 'io', 5);
  host.kvmCounts('a', 5);
  host.window(5 * SECOND, () => {});
  host.endPeriod(10 * SECOND);
  assert.deepEqual(host.shownAt(60 * SECOND), { io: 45, other: 60 });
});

test('what a VM in focus costs does not shorten the windows of other VMs', () => {
  const host = new Host();
  host.ledger.sampling.focus('a', 0, false);
  host.exits(7, 'io', 1000);
  const part = host.window(5 * SECOND, () => {
    host.exits(7, 'io', 90);
    host.exits(9, 'io', 10);
  });
  assert.equal(part, 0.1);
});

test('an exit of a VM in focus is paired across the edge of a window, that of another VM is not', () => {
  const host = new Host();
  host.ledger.sampling.focus('a', 0, false);
  for (const tid of [7, 9]) host.exit(tid, 'io');
  host.window(5 * SECOND, () => {
    for (const tid of [7, 9]) host.entry(tid);
    for (const tid of [7, 9]) host.exit(tid, 'io');
  });
  for (const tid of [7, 9]) host.entry(tid);
  host.endPeriod(10 * SECOND);
  const { durations } = host.snapshotAt(60 * SECOND);
  assert.deepEqual(
    durations.filter(({ layer }) => layer === 'kvm').map(({ vm, count }) => [vm, count]),
    [['a', 2]],
  );
});

test('interrupts that other threads inject into a VM in focus are extrapolated by time', () => {
  const host = new Host();
  host.ledger.sampling.focus('a', 0, false);
  host.window(5 * SECOND, () => host.interrupts(10));
  host.endPeriod(10 * SECOND);
  const { eventfds } = host.snapshotAt(60 * SECOND);
  assert.deepEqual(
    eventfds.filter(({ count }) => count > 0).map(({ vm, count }) => [vm, count]),
    [['a', 100]],
  );
});
