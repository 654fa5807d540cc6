import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BusiestAddresses } from '../../../src/count/busiest-addresses.js';
import {
  BUCKET_SECONDS,
  newHistogram,
  recordDuration,
  summarize,
} from '../../../src/count/counters/duration-histogram.js';
import { decodeIoKey, IoTable, ioKey, ioKind } from '../../../src/count/vcpu/io-table.js';
import { deviceAt, isKernelDevice } from '../../../src/count/vcpu/pc-devices.js';

test('a key is bus, direction, layer and address, and gives them back', () => {
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

test('IoTable loses no access and stays small, whatever is accessed', () => {
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

test('IoTable keeps an address that is accessed all the time through a spray of others', () => {
  const table = new IoTable();
  const hot = ioKey(false, true, true, 0x1f0);
  for (let port = 0; port < 65536; port++) {
    table.add(ioKey(false, false, true, port));
    if (port % 8 === 0) table.add(hot);
  }
  assert.equal(new Map(table.entries()).get(hot), 8192);
});

test('BusiestAddresses shows at most its limit, tells each access once, and no figure of it falls', () => {
  const rounds = fc.array(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 500 })), { maxLength: 40 }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(rounds, (all) => {
      const busiest = new BusiestAddresses(20);
      const counts = new Map<number, number>();
      let before = new Map<number, number>();
      let restBefore = 0;
      for (const round of all) {
        let happened = 0;
        for (const [port, times] of round) {
          const key = ioKey(false, false, true, port);
          counts.set(key, (counts.get(key) ?? 0) + times);
          happened += times;
        }
        const { series, rest } = busiest.select(counts, new Float64Array(8));
        const restNow = rest.reduce((sum, count) => sum + count, 0);
        let told = restNow - restBefore;
        for (const [key, count] of series) told += count - (before.get(key) ?? 0);
        assert.ok(series.size <= 20);
        assert.equal(told, happened);
        assert.ok(restNow >= restBefore);
        for (const [key, count] of series) assert.ok(count >= (before.get(key) ?? 0));
        before = new Map(series);
        restBefore = restNow;
      }
    }),
  );
});

test('BusiestAddresses follows what a guest turns to, without a jump in the sum of all else', () => {
  const busiest = new BusiestAddresses(2);
  const [boot, disk, net] = [1, 2, 3].map((port) => ioKey(false, false, true, port)) as [number, number, number];
  const look = (counts: [number, number][]) => {
    const { series, rest } = busiest.select(new Map(counts), new Float64Array(8));
    return { series: Object.fromEntries(series), rest: rest[1] };
  };
  assert.deepEqual(
    look([
      [boot, 5000],
      [disk, 100],
    ]),
    { series: { [boot]: 5000, [disk]: 100 }, rest: 0 },
  );
  assert.deepEqual(
    look([
      [boot, 5000],
      [disk, 200],
      [net, 900],
    ]),
    { series: { [disk]: 200, [net]: 900 }, rest: 0 },
  );
  assert.deepEqual(
    look([
      [boot, 5001],
      [disk, 300],
      [net, 1800],
    ]),
    { series: { [disk]: 300, [net]: 1800 }, rest: 1 },
  );
});

test('well-known addresses have their devices, and KVM answers only at its own', () => {
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
  for (const [mmio, address, device, kernel] of rows) {
    assert.equal(deviceAt(mmio, address), device, address.toString(16));
    assert.equal(isKernelDevice(mmio, address), kernel, address.toString(16));
  }
});

test('durations: buckets, extremes and quantiles are those of the sorted times', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 5e9, noNaN: true }), { minLength: 1, maxLength: 300 }), (times) => {
      const durations = newHistogram();
      for (const ns of times) recordDuration(durations, ns);
      const got = summarize(durations);
      const sorted = [...times].sort((a, b) => a - b);
      assert.equal(got.count, times.length);
      assert.equal(got.minSeconds, (sorted[0] ?? 0) * 1e-9);
      assert.equal(got.maxSeconds, (sorted.at(-1) ?? 0) * 1e-9);
      BUCKET_SECONDS.forEach((edge, index) => {
        assert.equal(got.buckets[index], sorted.filter((ns) => ns < Math.round(edge * 1e9)).length, `below ${edge}`);
      });
      const median = sorted[Math.ceil(times.length / 2) - 1] ?? 0;
      // Within the bucket of the true median: half an octave.
      assert.ok(
        got.p50Seconds * 1e9 <= Math.max(median * 1.5, 500) + 1e-3 && got.p50Seconds * 1e9 >= median / 1.51 - 500,
      );
    }),
  );
});
