import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LegTimes, placeWaits } from '../../../src/count/time/waiting.js';

const NONE: LegTimes = { guest: 0, kvm: 0, qemu: 0, idle: 0, longKvm: 0, longQemu: 0, longIdle: 0 };

/** Name, legs, wait, time asleep, and the wait in each kind of leg: guest, KVM, QEMU, idle. All in milliseconds. */
const ROWS: [name: string, legs: Partial<LegTimes>, wait: number, asleep: number, want: number[]][] = [
  ['of a busy guest that another thread puts off', { guest: 500, kvm: 501, longKvm: 500 }, 500, 0, [0, 500, 0, 0]],
  [
    'of port writes under a quota: one write in each period takes 85 ms',
    { guest: 30, kvm: 50, qemu: 920, longQemu: 850 },
    850,
    0,
    [0, 0, 850, 0],
  ],
  ['of an idle guest that is woken late', { guest: 10, idle: 990, longIdle: 990 }, 40, 950, [0, 0, 0, 40]],
  [
    'of a guest that is put off at work and when it is woken',
    { guest: 300, kvm: 200, longKvm: 200, idle: 500, longIdle: 500 },
    300,
    400,
    [0, 200, 0, 100],
  ],
  ['not where QEMU is asleep', { kvm: 100, longKvm: 100, qemu: 800, longQemu: 800 }, 100, 800, [0, 100, 0, 0]],
  ['in short legs if there are no long ones', { guest: 800, kvm: 100, qemu: 100 }, 100, 0, [0, 50, 50, 0]],
  ['in the guest if nothing else is left', { guest: 900, kvm: 100 }, 300, 0, [200, 100, 0, 0]],
];

for (const [name, legs, wait, asleep, want] of ROWS)
  test(`waits are ${name.replace(/^of/, 'those of')}`, () => {
    const { guest, kvm, qemu, idle } = placeWaits({ ...NONE, ...legs }, wait, asleep);
    assert.deepEqual([guest, kvm, qemu, idle].map(Math.round), want);
  });

test('no leg waits longer than it took, and no wait is added', () => {
  const ns = fc.integer({ min: 0, max: 2e9 });
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(ns, ns, ns, ns, part, part, part, ns, ns, (guest, kvm, qemu, idle, a, b, c, wait, asleep) => {
      const legs = { guest, kvm, qemu, idle, longKvm: a * kvm, longQemu: b * qemu, longIdle: c * idle };
      const waits = placeWaits(legs, wait, asleep);
      for (const leg of ['guest', 'kvm', 'qemu', 'idle'] as const)
        assert.ok(waits[leg] >= 0 && waits[leg] <= legs[leg] * (1 + 1e-9), `${leg} ${waits[leg]} of ${legs[leg]}`);
      const all = waits.guest + waits.kvm + waits.qemu + waits.idle;
      assert.ok(all <= wait * (1 + 1e-9));
    }),
  );
});
