import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeIoKey, IoTable, ioKey, ioKind } from '../../../src/count/vcpu/io-table.js';

test('a key contains bus, direction, layer and address', () => {
  for (const address of [0, 0x70, 0xffff, 0xfee00000, 0xfffffffff000]) {
    for (const flags of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const [mmio, out, qemu] = [(flags & 4) > 0, (flags & 2) > 0, (flags & 1) > 0];
      assert.deepEqual(decodeIoKey(ioKey(mmio, out, qemu, address)), {
        bus: mmio ? 'mmio' : 'pio',
        direction: out ? 'out' : 'in',
        layer: qemu ? 'qemu' : 'kvm',
        address,
      });
    }
  }
});

function totals(table: IoTable): number[] {
  const sums = Array.from(table.otherCounts);
  for (const [key, count] of table.entries()) sums[ioKind(key)] = (sums[ioKind(key)] ?? 0) + count;
  return sums;
}

test('IoTable counts every access once and stays small, whatever is accessed', () => {
  const accesses = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 400 })), {
    maxLength: 3000,
  });
  fc.assert(
    fc.property(accesses, (all) => {
      const table = new IoTable();
      const want = [0, 0, 0, 0, 0, 0, 0, 0];
      for (const [out, qemu, port] of all) {
        const key = ioKey(false, out, qemu, port);
        table.add(key);
        want[ioKind(key)] = (want[ioKind(key)] ?? 0) + 1;
      }
      assert.deepEqual(totals(table), want);
      assert.ok([...table.entries()].length <= 64);
    }),
    { numRuns: 60 },
  );
});

test('IoTable keeps an address that is accessed all the time while 65,536 more are accessed once', () => {
  const table = new IoTable();
  const hot = ioKey(false, true, true, 0x1f0);
  for (let port = 0; port < 65536; port++) {
    table.add(ioKey(false, false, true, port));
    if (port % 8 === 0) table.add(hot);
  }
  assert.equal(new Map(table.entries()).get(hot), 8192);
});
