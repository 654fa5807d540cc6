import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceAt, isKernelDevice } from '../../../src/count/vcpu/pc-devices.js';

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
  ['a port that the VM itself names', false, 0x70, OWN, 'rtc-index'],
  ['the last port of a range', false, 0xc01f, OWN, 'virtio-pci'],
  ['the port after it', false, 0xc020, OWN, ''],
  ['a well-known port that the VM does not name', false, 0x64, OWN, 'i8042'],
  ['a page that two devices share, which has most of it', true, 0xfebd0000, OWN, 'vga.mmio'],
  ['a page that a device begins in', true, 0xfebd1000, OWN, 'across'],
  ['a page that a device ends in', true, 0xfebd2000, OWN, 'across'],
  ['the page after it', true, 0xfebd3000, OWN, ''],
  ['a well-known page that the VM does not name', true, 0xfed00000, OWN, 'hpet'],
] as const)
  test(`the device of ${what}`, () => assert.equal(deviceAt(mmio, address, own), expected));

test('well-known addresses have their devices, and KVM answers only for its own', () => {
  const rows: [boolean, number, string, boolean][] = [
    [false, 0x21, 'pic1', true],
    [false, 0x40, 'pit', true],
    [false, 0x3f8, 'serial1', false],
    [false, 0x3f6, 'ide1', false],
    [false, 0xcfc, 'pci_config', false],
    [false, 0x608, 'acpi_pm_timer', false],
    [false, 0xc000, '', false],
    [true, 0xfee00000, 'lapic', true],
    [true, 0xfed000f0, 'hpet', false],
    [true, 0x10000000, '', false],
  ];
  for (const [mmio, address, device, isInKernel] of rows) {
    assert.equal(deviceAt(mmio, address), device, address.toString(16));
    assert.equal(isKernelDevice(mmio, address), isInKernel, address.toString(16));
  }
});
