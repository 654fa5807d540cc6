import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PendingLookups } from '../../src/vm/pending-lookups.js';

const tids = (misses: PendingLookups, count: number, nowMs: number): number[] =>
  misses.take(count, nowMs).map(({ tid }) => tid);

test('a miss waits once, however often it is asked for', () => {
  const misses = new PendingLookups(10, 1000);
  misses.add(5, false, -1);
  misses.add(5, true, -1);
  misses.add(5, false, 3);
  assert.deepEqual(misses.take(10, 0), [{ tid: 5, ranVcpu: true, vcpu: 3 }]);
  assert.deepEqual(misses.take(10, 0), []);
});

test('take hands out so many at a time', () => {
  const misses = new PendingLookups(10, 1000);
  for (let tid = 1; tid <= 5; tid++) misses.add(tid, true, -1);
  assert.deepEqual(tids(misses, 2, 0), [1, 2]);
  assert.deepEqual(tids(misses, 9, 0), [3, 4, 5]);
});

test('what was looked up in vain is not taken again until its time is over', () => {
  const misses = new PendingLookups(10, 1000);
  misses.add(5, true, -1);
  for (const miss of misses.take(10, 100)) misses.fail(miss, 100);
  misses.add(5, true, -1);
  assert.deepEqual(tids(misses, 10, 1099), []);
  assert.deepEqual(tids(misses, 10, 1100), []);
  misses.add(5, true, -1);
  assert.deepEqual(tids(misses, 10, 1101), [5]);
});

test('that it runs a vCPU is worth another look', () => {
  const misses = new PendingLookups(10, 1000);
  misses.add(5, false, -1);
  for (const miss of misses.take(10, 0)) misses.fail(miss, 0);
  misses.add(5, false, -1);
  assert.deepEqual(tids(misses, 10, 1), []);
  misses.add(5, true, -1);
  assert.deepEqual(tids(misses, 10, 2), [5]);
});

test('both kinds are bounded', () => {
  const misses = new PendingLookups(3, 1000);
  for (let tid = 1; tid <= 9; tid++) misses.add(tid, true, -1);
  const taken = misses.take(100, 0);
  assert.deepEqual(
    taken.map(({ tid }) => tid),
    [1, 2, 3],
  );
  for (const miss of taken) misses.fail(miss, 0);
  misses.fail({ tid: 4, ranVcpu: true, vcpu: -1 }, 0);
  for (let tid = 1; tid <= 4; tid++) misses.add(tid, true, -1);
  assert.deepEqual(tids(misses, 100, 1), [1], 'the oldest was forgotten');
});
