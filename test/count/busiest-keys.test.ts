import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BusiestKeys } from '../../src/count/busiest-keys.js';
import { KINDS } from '../../src/count/counters/key-table.js';
import { ioKey } from '../../src/count/vcpu/io-keys.js';

test('BusiestKeys shows at most its limit, counts each access once, and none of its figures falls', () => {
  const rounds = fc.array(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 500 })), { maxLength: 40 }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(rounds, (all) => {
      const busiest = new BusiestKeys(20);
      const counts = new Map<number, number>();
      /** The last figure of each series, also of those that have ended. */
      const before = new Map<number, number>();
      let restBefore = 0;
      for (const round of all) {
        let happened = 0;
        for (const [port, times] of round) {
          const key = ioKey(false, false, true, port);
          counts.set(key, (counts.get(key) ?? 0) + times);
          happened += times;
        }
        const { series, rest } = busiest.select(counts, new Float64Array(KINDS));
        const restNow = rest.reduce((sum, count) => sum + count, 0);
        let shown = restNow - restBefore;
        for (const [key, count] of series) shown += count - (before.get(key) ?? 0);
        assert.ok(series.size <= 20);
        assert.equal(shown, happened);
        assert.ok(restNow >= restBefore);
        for (const [key, count] of series) assert.ok(count >= (before.get(key) ?? 0));
        for (const [key, count] of series) before.set(key, count);
        restBefore = restNow;
      }
    }),
  );
});

test('BusiestKeys follows a guest that changes its ports, without a jump in the sum of the rest', () => {
  const busiest = new BusiestKeys(2);
  const [boot, disk, net] = [1, 2, 3].map((port) => ioKey(false, false, true, port)) as [number, number, number];
  const select = (counts: [number, number][]) => {
    const { series, rest } = busiest.select(new Map(counts), new Float64Array(KINDS));
    return { series: Object.fromEntries(series), rest: rest[1] };
  };
  assert.deepEqual(
    select([
      [boot, 5000],
      [disk, 100],
    ]),
    { series: { [boot]: 5000, [disk]: 100 }, rest: 0 },
  );
  assert.deepEqual(
    select([
      [boot, 5000],
      [disk, 200],
      [net, 900],
    ]),
    { series: { [disk]: 200, [net]: 900 }, rest: 0 },
  );
  assert.deepEqual(
    select([
      [boot, 5001],
      [disk, 300],
      [net, 1800],
    ]),
    { series: { [disk]: 300, [net]: 1800 }, rest: 1 },
  );
});

test('what a series counted that ended before the next export is in the sum of the rest', () => {
  const rounds = fc.array(
    fc.record({
      isExported: fc.boolean(),
      writes: fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 500 })), { maxLength: 40 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(rounds, (all) => {
      const busiest = new BusiestKeys(5);
      const counts = new Map<number, number>();
      const told = new Map<number | 'rest', number>();
      let happened = 0;
      for (const { isExported, writes } of all) {
        for (const [port, times] of writes) {
          const key = ioKey(false, false, true, port);
          counts.set(key, (counts.get(key) ?? 0) + times);
          happened += times;
        }
        const { series, rest } = busiest.select(counts, new Float64Array(KINDS), isExported);
        if (!isExported) continue;
        for (const [key, count] of series) {
          assert.ok(count >= (told.get(key) ?? 0), 'a series that comes back goes on where it ended');
          told.set(key, count);
        }
        told.set(
          'rest',
          rest.reduce((sum, count) => sum + count, 0),
        );
        assert.equal(
          [...told.values()].reduce((sum, count) => sum + count, 0),
          happened,
        );
      }
    }),
  );
});
