/** Estimates of one VM, period after period. The expected numbers are made by hand: shares of what KVM counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelCounts } from '../../../src/count/kernel-counts.js';
import { Ledger } from '../../../src/count/ledger.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

const TID = 7;
const INJECTOR = 8;
const VM = 'a';
const TOTAL = { kind: 'total', isTime: false, length: 1 } as const;
/** Exits, or growth by name of the statistic. */
type Growth = number | Readonly<Record<string, number>>;
const SECOND = 1000;

class Host {
  readonly ledger = new Ledger(
    { ownerOf: (tid) => ({ vm: { label: VM }, vcpu: tid === TID ? '0' : '' }) },
    { isSampled: true },
  );
  readonly #counts: KernelCounts = this.ledger.kernelSource('tracefs');
  #timeNs = 0;
  readonly #kvm: Record<string, number> = {};

  /** Each event comes a microsecond after the one before. */
  #next(): number {
    this.#timeNs += 1000;
    return this.#timeNs;
  }

  /** Exits that the trace shows: all of them are answered by KVM within a microsecond. */
  exits(reason: string, times: number): void {
    for (let i = 0; i < times; i++) {
      this.#counts.vmExit(this.#next(), 0, TID, 0, this.ledger.vocabulary.reasons.id(reason), 0);
      this.#counts.vmEntry(this.#next(), 0, TID, 0);
    }
  }

  /** A write to a port that KVM answers. */
  access(port: number): void {
    this.#counts.vmExit(this.#next(), 0, TID, 0, this.ledger.vocabulary.reasons.id('io'), 0);
    this.#counts.portIo(this.#next(), 0, TID, true, port, 1);
    this.#counts.vmEntry(this.#next(), 0, TID, 0);
  }

  /** Interrupts that a thread without a vCPU injects. */
  interrupts(times: number): void {
    for (let i = 0; i < times; i++) this.#counts.interrupt(this.#next(), 0, INJECTOR);
  }

  /** The vCPU leaves for QEMU. @param reason of the exit before it; '' if that is not seen */
  userspaceExit(reason: string, userspaceReason: string): void {
    const { reasons } = this.ledger.vocabulary;
    if (reason !== '') this.#counts.vmExit(this.#next(), 0, TID, 0, reasons.id(reason), 0);
    this.#counts.userspaceExit(this.#next(), 0, TID, reasons.id(userspaceReason));
    if (reason !== '') this.#counts.vmEntry(this.#next(), 0, TID, 0);
  }

  /** KVM's own numbers grow. */
  kvmCounts(more: Growth): void {
    const growth = typeof more === 'number' ? { exits: more } : more;
    for (const [name, count] of Object.entries(growth)) this.#kvm[name] = (this.#kvm[name] ?? 0) + count;
    const values = Object.entries(this.#kvm).map(([name, count]) => [{ ...TOTAL, name }, count] as const);
    this.ledger.statistics.add(VM, 'life', { door: 'debugfs', parts: [{ key: '', vcpu: '', values }] });
  }

  /** A period of ten seconds, with a window of one. KVM counts `inWindow` in the window, and `outside` before it. */
  period(startMs: number, inWindow: Growth, outside: Growth, seen: () => void, isNew = false): void {
    if (outside !== 0) this.kvmCounts(outside);
    this.ledger.sampling.openWindow(startMs + 5 * SECOND);
    seen();
    if (inWindow !== 0) this.kvmCounts(inWindow);
    this.ledger.sampling.closeWindow(startMs + 6 * SECOND);
    this.ledger.sampling.endPeriod(startMs + 10 * SECOND, () => isNew);
  }

  /** `layer reason` -> exits. */
  shownAt(nowMs: number): Record<string, number> {
    const { exits } = takeSnapshot(this.ledger.totals(nowMs));
    return Object.fromEntries(exits.map(({ layer, reason, count }) => [`${layer} ${reason}`, count]));
  }

  errors() {
    return takeSnapshot(this.ledger.totals()).samplingErrors;
  }
}

function started(more: Readonly<Record<string, number>> = {}): Host {
  const host = new Host();
  host.kvmCounts({ exits: 1_000_000, ...more });
  host.ledger.sampling.begin(0);
  return host;
}

const mix = (host: Host) => () => {
  host.exits('io', 75);
  host.exits('hlt', 25);
};

test('exits that KVM counted have the shares of the window, and are shown evenly over the next period', () => {
  const host = started();
  host.period(0, 100, 900, mix(host));
  assert.deepEqual(host.shownAt(10 * SECOND), {});
  assert.deepEqual(host.shownAt(15 * SECOND), { 'kvm io': 375, 'kvm hlt': 125 });
  assert.deepEqual(host.shownAt(20 * SECOND), { 'kvm io': 750, 'kvm hlt': 250 });
  assert.deepEqual(host.shownAt(90 * SECOND), { 'kvm io': 750, 'kvm hlt': 250 });
});

test('whole numbers add up to those of KVM, period after period', () => {
  const host = started();
  for (let period = 0; period < 20; period++) {
    host.period(10 * SECOND * period, 3, 98, () => {
      for (const reason of ['io', 'hlt', 'npf']) host.exits(reason, 1);
    });
    const shown = host.shownAt(Number.POSITIVE_INFINITY);
    const counts = Object.values(shown);
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      101 * (period + 1),
    );
    for (const count of counts) {
      assert.ok(Number.isInteger(count));
      assert.ok(Math.abs(count - (101 * (period + 1)) / 3) <= 2, JSON.stringify(shown));
    }
  }
});

test('a reason that a later window does not see keeps its exits', () => {
  const host = started();
  host.period(0, 100, 900, mix(host));
  host.period(10 * SECOND, 100, 900, () => host.exits('npf', 100));
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 750, 'kvm hlt': 250, 'kvm npf': 1000 });
});

test('exits of a period whose window saw none have the shares of all windows', () => {
  const host = started();
  host.period(0, 100, 900, mix(host));
  host.period(10 * SECOND, 0, 400, () => {});
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 1050, 'kvm hlt': 350 });
});

test('without a number of KVM, exits are extrapolated by time, and the error is not known', () => {
  const host = new Host();
  host.ledger.sampling.begin(0);
  host.period(0, 0, 0, mix(host));
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 750, 'kvm hlt': 250 });
  assert.deepEqual(host.errors(), []);
});

test('where the trace shows few of the exits that KVM counts, these are not taken for all', () => {
  const host = started();
  for (let period = 0; period < 3; period++) host.period(10 * SECOND * period, 1000, 9000, () => host.exits('io', 2));
  // Twice in each window, so 20 times in a period: not 10,000 times.
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 60 });
  assert.deepEqual(host.errors(), []);
});

test('a VM is in its first period until a period ends in which something is known of it', () => {
  const host = new Host();
  host.ledger.sampling.begin(0);
  const firsts: boolean[] = [];
  const period = (startMs: number) => {
    host.ledger.sampling.openWindow(startMs + 5 * SECOND);
    host.ledger.sampling.closeWindow(startMs + 6 * SECOND);
    host.ledger.sampling.endPeriod(startMs + 10 * SECOND, (_, isFirst) => {
      firsts.push(isFirst);
      return isFirst;
    });
  };
  period(0); // its process runs, but has no VM yet
  host.kvmCounts(200);
  period(10 * SECOND);
  host.kvmCounts(100);
  period(20 * SECOND);
  assert.deepEqual(firsts, [true, false]);
});

for (const [what, isNew, exits] of [
  ['a VM that started in the period has all exits that KVM counted', true, { 'kvm io': 750, 'kvm hlt': 250 }],
  [
    'of a VM that ran before, exits of KVM before the first reading do not count',
    false,
    { 'kvm io': 750, 'kvm hlt': 250 },
  ],
] as const)
  test(what, () => {
    const host = new Host();
    host.ledger.sampling.begin(0);
    if (!isNew) host.kvmCounts(1_000_000);
    host.period(0, 100, 900, mix(host), isNew);
    assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), exits);
    assert.equal(host.errors().length > 0, isNew);
  });

test('exits for a reason that KVM counts become exact, and the rest is shared by the other reasons', () => {
  const host = started({ io_exits: 500_000 });
  const shown = Array.from({ length: 5 }, (_, period) => {
    host.period(10 * SECOND * period, { exits: 100, io_exits: 80 }, { exits: 900, io_exits: 120 }, () => {
      host.exits('io', 80);
      host.exits('hlt', 15);
      host.exits('npf', 5);
    });
    return host.shownAt(Number.POSITIVE_INFINITY);
  });
  // The first window has shown 80 exits for I/O, too few to say that the statistic counts the same.
  assert.deepEqual(shown[0], { 'kvm io': 800, 'kvm hlt': 150, 'kvm npf': 50 });
  // Counts do not decrease, so the 600 too many are made up for until the fourth period.
  assert.deepEqual(shown[1], { 'kvm io': 800, 'kvm hlt': 900, 'kvm npf': 300 });
  assert.deepEqual(shown[4], { 'kvm io': 1000, 'kvm hlt': 3000, 'kvm npf': 1000 });
  const io = [...host.errors()].find(({ reason }) => reason === 'io');
  assert.deepEqual([io?.count, io?.low, io?.high], [1000, 1000, 1000]);
});

test('ports that KVM answers are scaled as the exits that KVM counts for them, interrupts by time', () => {
  const host = started({ io_exits: 0 });
  host.period(0, { exits: 200, io_exits: 200 }, { exits: 800, io_exits: 200 }, () => {
    for (let i = 0; i < 200; i++) host.access(0x43);
    host.interrupts(7);
  });
  const { io, eventfds } = takeSnapshot(host.ledger.totals());
  assert.deepEqual(
    io.map(({ address, count }) => [address, count]),
    [['0x43', 400]],
  );
  // The window is a tenth of the period.
  assert.equal(eventfds.filter(({ kind }) => kind === 'irqfd')[0]?.count, 70);
});

test('a statistic that counts other exits than the trace is not used', () => {
  const host = started({ io_exits: 0 });
  for (let period = 0; period < 3; period++)
    host.period(10 * SECOND * period, { exits: 200, io_exits: 120 }, { exits: 1800, io_exits: 0 }, () => {
      host.exits('io', 150);
      host.exits('hlt', 50);
    });
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 4500, 'kvm hlt': 1500 });
});

test('exits for reasons that no window has seen are shown as other, if all that were seen are exact', () => {
  const host = started({ io_exits: 0 });
  host.period(0, { exits: 200, io_exits: 200 }, { exits: 800, io_exits: 790 }, () => host.exits('io', 200));
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 990, 'kvm other': 10 });
  host.period(10 * SECOND, { exits: 200, io_exits: 190 }, { exits: 800, io_exits: 790 }, () => {
    host.exits('io', 190);
    host.exits('npf', 10);
  });
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), { 'kvm io': 1970, 'kvm other': 10, 'kvm npf': 20 });
  // Those of the first period may have been any of the reasons but this one.
  const { high } = [...host.errors()].find(({ reason }) => reason === 'npf') ?? assert.fail();
  assert.ok(high >= 30, `at most ${high}`);
});

test('exits to userspace are shown at once, and their causes are those of the window', () => {
  const host = started();
  for (let i = 0; i < 90; i++) host.userspaceExit('', 'KVM_EXIT_IO');
  host.period(0, 10, 90, () => {
    for (let i = 0; i < 8; i++) host.userspaceExit('io', 'KVM_EXIT_IO');
    for (let i = 0; i < 2; i++) host.userspaceExit('npf', 'KVM_EXIT_IO');
  });
  assert.deepEqual(host.shownAt(10 * SECOND), { 'qemu KVM_EXIT_IO': 100 });
  const { causes, durations, unpaired } = takeSnapshot(host.ledger.totals());
  assert.deepEqual(
    causes.map(({ reason, userspaceReason, count }) => [reason, userspaceReason, count]),
    [
      ['io', 'KVM_EXIT_IO', 80],
      ['npf', 'KVM_EXIT_IO', 20],
    ],
  );
  assert.deepEqual(
    durations.map(({ layer, reason, count, sumSeconds }) => [layer, reason, count, Number(sumSeconds.toFixed(9))]),
    [['qemu', 'KVM_EXIT_IO', 100, 100e-6]],
  );
  assert.deepEqual(
    unpaired.map(({ count }) => count),
    [0, 0],
  );
});

test('the cause of an exit to userspace at the begin of a window is not known, and is not "none"', () => {
  const host = started();
  host.period(0, 10, 0, () => host.exits('io', 10));
  host.period(10 * SECOND, 10, 0, () => {
    // Its kvm_exit was before the window.
    host.userspaceExit('', 'KVM_EXIT_MMIO');
    host.exits('io', 10);
    host.userspaceExit('io', 'KVM_EXIT_IO');
  });
  const causes = takeSnapshot(host.ledger.totals()).causes.map(({ reason, userspaceReason }) => [
    reason,
    userspaceReason,
  ]);
  assert.deepEqual(causes, [['io', 'KVM_EXIT_IO']]);
});

test('addresses are kept in bounded number, however many a guest accesses, and none is lost from the sum', () => {
  const host = started();
  const windows = 200;
  for (let window = 0; window < windows; window++)
    host.period(10 * SECOND * window, 60, 540, () => {
      for (let i = 0; i < 60; i++) host.access(64 * window + i);
    });
  const totals = host.ledger.totals();
  assert.ok((totals.vms.get(VM)?.io.size ?? 0) <= 4200, `${totals.vms.get(VM)?.io.size} addresses`);
  const accesses = [...takeSnapshot(totals).io].reduce((sum, { count }) => sum + count, 0);
  // Each access stands for ten. Sums are rounded down.
  assert.ok(accesses <= 600 * windows && accesses >= 600 * windows - 20, `${accesses} of ${600 * windows}`);
});

test('times of vCPUs do not come from the windows', () => {
  const host = started();
  host.period(0, 100, 900, mix(host));
  assert.equal(host.ledger.provesTime(TID), false);
  assert.deepEqual(takeSnapshot(host.ledger.totals()).vcpuTimes, []);
});

test('what a forgotten VM had is gone', () => {
  const host = started();
  host.period(0, 100, 900, mix(host));
  host.ledger.forget({ label: VM });
  assert.deepEqual(host.shownAt(Number.POSITIVE_INFINITY), {});
});

test('the busiest vCPU may have raised all events of a window that shows of no vCPU that it exits', () => {
  const host = started();
  host.ledger.sampling.openWindow(5 * SECOND);
  host.interrupts(100);
  assert.equal(host.ledger.sampling.closeWindow(6 * SECOND), 1);
});
