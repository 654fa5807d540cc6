import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { KeyTable, KINDS, kindOf } from '../../../src/count/counters/key-table.js';
import { Ledger } from '../../../src/count/ledger.js';
import { decodeIoKey, ioKey } from '../../../src/count/vcpu/io-keys.js';
import { FtraceTextDecoder } from '../../../src/decode/ftrace/text-decoder.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';

test('a key contains bus, direction, layer and address', () => {
  const ports = [0, 0x70, 0xffff, 0xffffffff];
  const pages = [0, 0x1000, 0xfee00000, 0xfffffffff000, 2 ** 50, 2 ** 52 - 4096, 2 ** 52, 2 ** 53 - 8192];
  for (const flags of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const [mmio, out, qemu] = [(flags & 4) > 0, (flags & 2) > 0, (flags & 1) > 0];
    for (const address of mmio ? pages : ports) {
      assert.deepEqual(decodeIoKey(ioKey(mmio, out, qemu, address)), {
        bus: mmio ? 'mmio' : 'pio',
        direction: out ? 'out' : 'in',
        layer: qemu ? 'qemu' : 'kvm',
        address,
      });
    }
  }
});

test('an address has one key for each kind, and no other address has that key', () => {
  const page = fc.bigInt({ min: 0n, max: 2n ** 41n - 3n }).map((number) => Number(number * 4096n));
  const place = fc.oneof(
    fc.record({ mmio: fc.constant(true), address: page }),
    fc.record({ mmio: fc.constant(false), address: fc.integer({ min: 0, max: 0xffffffff }) }),
  );
  const access = fc.record({ place, out: fc.boolean(), qemu: fc.boolean() });
  fc.assert(
    fc.property(access, access, (a, b) => {
      const keyOf = ({ place: { mmio, address }, out, qemu }: typeof a) => ioKey(mmio, out, qemu, address);
      // Some of the records have no prototype, which makes them unequal to those that have one.
      assert.equal(keyOf(a) === keyOf(b), isDeepStrictEqual(structuredClone(a), structuredClone(b)));
      assert.equal(decodeIoKey(keyOf(a)).address, a.place.address);
    }),
  );
});

/** What kvm_io_exits_total shows for lines of ftrace text: `bus direction layer address count`. */
function ioOf(...events: readonly string[]): string[] {
  const ledger = new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '0' }) });
  const decoder = new FtraceTextDecoder(ledger.vocabulary, ledger.kernelSource('test'));
  const lines = events.map((event, i) => ` CPU 0/KVM-1 [000] d..1. 1.00000${i}: ${event}\n`);
  decoder.push(Buffer.from(lines.join('')));
  ledger.settle();
  return Array.from(takeSnapshot(ledger.totals()).io, (row) =>
    [row.bus, row.direction, row.layer, row.address, row.count].join(' '),
  ).sort();
}

test('an MMIO page at any address that a guest can have is shown exactly', () => {
  // The physical addresses of x86 and arm64 have 52 bits.
  const read = (gpa: string) => [
    `kvm_mmio: mmio unsatisfied-read len 4 gpa 0x${gpa} val 0x0`,
    'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
    `kvm_mmio: mmio read len 4 gpa 0x${gpa} val 0x0`,
  ];
  assert.deepEqual(ioOf(...read('4000000000000')), ['mmio in qemu 0x4000000000000 1']);
  assert.deepEqual(ioOf(...read('fffffffffffff')), ['mmio in qemu 0xffffffffff000 1']);
  assert.deepEqual(ioOf('kvm_mmio: mmio write len 4 gpa 0x8000000001008 val 0x0'), [
    'mmio out unknown 0x8000000001000 1',
  ]);
  assert.deepEqual(ioOf('kvm_fast_mmio: fast mmio at gpa 0x8000000002000'), ['mmio out kvm 0x8000000002000 1']);
});

test('pages that no guest can have are counted by kind, without an address', () => {
  const lines = ['1fffffffffffff', 'ffffffffffffffff'].flatMap((gpa) => [
    `kvm_mmio: mmio write len 4 gpa 0x${gpa} val 0x0`,
    'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
    `kvm_mmio: mmio read len 4 gpa 0x${gpa} val 0x0`,
  ]);
  assert.deepEqual(ioOf(...lines), ['mmio in kvm other 2', 'mmio out qemu other 2']);
});

test('a port of more than 32 bits is malformed, and not an access to another port', () => {
  assert.deepEqual(ioOf('kvm_pio: pio_write at 0x10000000000000001 size 1 count 1 val 0x78'), []);
});

function totals(table: KeyTable): number[] {
  const sums = Array.from(table.otherCounts);
  for (const [key, count] of table.entries()) sums[kindOf(key)] = (sums[kindOf(key)] ?? 0) + count;
  return sums;
}

test('KeyTable counts every access once and stays small, whatever is accessed', () => {
  const accesses = fc.array(fc.tuple(fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 400 })), {
    maxLength: 3000,
  });
  fc.assert(
    fc.property(accesses, (all) => {
      const table = new KeyTable();
      const want = Array.from({ length: KINDS }, () => 0);
      for (const [out, qemu, port] of all) {
        const key = ioKey(false, out, qemu, port);
        table.add(key);
        want[kindOf(key)] = (want[kindOf(key)] ?? 0) + 1;
      }
      assert.deepEqual(totals(table), want);
      assert.ok([...table.entries()].length <= 64);
    }),
    { numRuns: 60 },
  );
});

test('KeyTable keeps an address that is accessed all the time while 65,536 more are accessed once', () => {
  const table = new KeyTable();
  const hot = ioKey(false, true, true, 0x1f0);
  for (let port = 0; port < 65536; port++) {
    table.add(ioKey(false, false, true, port));
    if (port % 8 === 0) table.add(hot);
  }
  assert.equal(new Map(table.entries()).get(hot), 8192);
});
