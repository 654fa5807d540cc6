import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../../../src/count/ledger.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

/** Snapshot after one exit to userspace for every pair of `reasons` hardware and `reasons` userspace reasons. */
function causesOf(reasons: number) {
  const ledger = new Ledger({ ownerOf: () => ({ vm: { label: 'vm' }, vcpu: '0' }) });
  const counts = ledger.kernelSource('test');
  const id = (name: string) => ledger.vocabulary.reasons.id(name);
  let timeNs = 0;
  for (let kvm = 0; kvm < reasons; kvm++)
    for (let qemu = 0; qemu < reasons; qemu++) {
      counts.vmExit(++timeNs, 0, 1, 0, id(`kvm-${kvm}`), 0);
      counts.userspaceExit(++timeNs, 0, 1, id(`qemu-${qemu}`));
      counts.vmEntry(++timeNs, 0, 1, 0);
    }
  return takeSnapshot(ledger.totals());
}

test('every pair of reasons is counted separately', () => {
  const { causes } = causesOf(40);
  assert.equal(causes.length, 1600);
  assert.ok([...causes].every(({ count }) => count === 1));
  assert.equal(new Set(causes.map(({ reason, userspaceReason }) => `${reason} ${userspaceReason}`)).size, 1600);
});

test('pairs beyond the limit are counted together, and exits are not affected', () => {
  const { causes, exits } = causesOf(60);
  const rest = causes.filter(({ userspaceReason }) => userspaceReason === 'other');
  assert.deepEqual(
    rest.map(({ reason }) => reason),
    ['other'],
  );
  assert.equal(
    [...causes].reduce((sum, { count }) => sum + count, 0),
    3600,
  );
  assert.ok(causes.length > 2000 && causes.length < 3600, `${causes.length} pairs`);
  assert.deepEqual(new Set(exits.map(({ count }) => count)), new Set([60]));
  assert.equal(exits.length, 120);
});
