import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMtree } from '../../../src/decode/qemu/mtree.js';
import { readFixture } from '../../support/fixtures.js';

const mtree = (machine: string) => parseMtree(readFixture(`mtree/qemu-7.2-${machine}.txt`).toString());

/** Some devices of each machine, as grep finds them in the recorded answers. */
const RECORDED = [
  {
    machine: 'pc',
    ports: { 'rtc-index': [0x70, 0x70], ioport80: [0x80, 0x80], 'kvm-pit': [0x40, 0x43] },
    memory: { hpet: [0xfed00000, 0xfed003ff], 'virtio-pci-notify-virtio-net': [0xfe007000, 0xfe007fff] },
  },
  {
    machine: 'q35',
    ports: { 'rtc-index': [0x70, 0x70] },
    memory: { hpet: [0xfed00000, 0xfed003ff], 'vga-lowmem': [0xa0000, 0xbffff] },
  },
  { machine: 'microvm', ports: {}, memory: {} },
] as const;

describe('info mtree -f', () => {
  for (const { machine, ports, memory } of RECORDED)
    it(`gives the addresses of the devices of a ${machine}`, () => {
      const found = mtree(machine);
      for (const [expected, ranges] of [
        [ports, found.ports],
        [memory, found.memory],
      ] as const)
        for (const [device, [first, last]] of Object.entries(expected))
          assert.deepEqual(
            ranges.filter((range) => range.device === device),
            [{ first, last, device }],
          );
    });

  it('leaves out memory and holes', () => {
    for (const { machine } of RECORDED) {
      const { ports, memory } = mtree(machine);
      const devices = [...ports, ...memory].map(({ device }) => device);
      assert.ok(devices.length > 5, machine);
      assert.deepEqual(
        devices.filter((device) => /^(io|system|pc\.ram|pc\.bios|vga\.vram)$|[@{]| KVM$/.test(device)),
        [],
        machine,
      );
    }
  });

  it('gives ranges in order and without overlaps', () => {
    for (const { machine } of RECORDED)
      for (const ranges of Object.values(mtree(machine)))
        for (const [at, { first }] of ranges.entries()) assert.ok(first > (ranges[at - 1]?.last ?? -1), machine);
  });

  it('uses only the views of the guest itself, not those of its devices, in any order', () => {
    const text = [
      'FlatView #0',
      ' AS "virtio-net-pci", root: bus master container',
      ' Root memory region: bus master container',
      '  0000000000000000-0000000000000fff (prio 0, i/o): wrong',
      '',
      'FlatView #1',
      ' AS "cpu-memory-0", root: system',
      ' AS "memory", root: system',
      ' Root memory region: system',
      '  0000000000001000-0000000000001fff (prio 0, i/o): right @0000000000000100 KVM owner:{dev path=/machine/x}',
      '  0000000000002000-0000000000002fff (prio 0, romd): flash with blanks',
    ].join('\r\n');
    assert.deepEqual(parseMtree(text), {
      ports: [],
      memory: [
        { first: 0x1000, last: 0x1fff, device: 'right' },
        { first: 0x2000, last: 0x2fff, device: 'flash with blanks' },
      ],
    });
  });

  it('finds no devices in other text', () => {
    for (const text of ['', 'unknown command: mtree', 'FlatView #0\n  x-y (prio 0, i/o): z'])
      assert.deepEqual(parseMtree(text), { ports: [], memory: [] });
  });
});
