import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceAt } from '../../../src/count/vcpu/pc-devices.js';

const OWN = {
  ports: [
    { first: 0x70, last: 0x70, device: 'rtc-index' },
    { first: 0xc000, last: 0xc01f, device: 'virtio-pci' },
  ],
  memory: [
    { first: 0xfebd0000, last: 0xfebd017f, device: 'edid' },
    { first: 0xfebd0180, last: 0xfebd0fff, device: 'vga.mmio' },
    { first: 0xfebd1ff0, last: 0xfebd20ff, device: 'across' },
  ],
};

for (const [what, mmio, address, own, expected] of [
  ['a well-known port', false, 0x70, undefined, 'rtc'],
  ['a port as its VM names it', false, 0x70, OWN, 'rtc-index'],
  ['the last port of a range', false, 0xc01f, OWN, 'virtio-pci'],
  ['the port behind it', false, 0xc020, OWN, ''],
  ['a well-known port that the VM has no name for', false, 0x64, OWN, 'i8042'],
  ['a page, by the device that has most of it', true, 0xfebd0000, OWN, 'vga.mmio'],
  ['a page that a device begins in', true, 0xfebd1000, OWN, 'across'],
  ['a page that it ends in', true, 0xfebd2000, OWN, 'across'],
  ['the page behind that', true, 0xfebd3000, OWN, ''],
  ['a well-known page that the VM has no name for', true, 0xfed00000, OWN, 'hpet'],
] as const)
  test(`the device of ${what}`, () => assert.equal(deviceAt(mmio, address, own), expected));
