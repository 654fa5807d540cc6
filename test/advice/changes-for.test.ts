import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesFor } from '../../src/advice/changes-for.js';

const ALL = { guest: 'g', host: 'h', qemu: 'q', libvirt: 'l', kubevirt: 'k', proxmox: 'p' };

for (const [manager, vmm, place] of [
  ['libvirt', 'qemu', { libvirt: 'l' }],
  ['proxmox', 'qemu', { proxmox: 'p' }],
  ['kubevirt', 'qemu', { kubevirt: 'k' }],
  ['kata', 'qemu', { qemu: 'q' }],
  ['', 'qemu', { qemu: 'q' }],
  ['', 'firecracker', {}],
] as const)
  test(`a VM of ${vmm} that ${manager || 'nothing'} manages is changed there, in the guest and on the host`, () => {
    assert.deepEqual(changesFor(ALL, { vmm, manager }), { guest: 'g', host: 'h', ...place });
  });

test('where the best place cannot change it, the next one is named', () => {
  assert.deepEqual(changesFor({ qemu: 'q', libvirt: 'l' }, { vmm: 'qemu', manager: 'kubevirt' }), { libvirt: 'l' });
  assert.deepEqual(changesFor({ qemu: 'q' }, { vmm: 'qemu', manager: 'proxmox' }), { qemu: 'q' });
});

test('all changes are named for a VM of which nothing is known', () => {
  assert.deepEqual(changesFor(ALL, undefined), ALL);
  // A process that only a trace names.
  assert.deepEqual(changesFor(ALL, { vmm: 'constructor', manager: '__proto__' }), ALL);
});
