import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PendingLookups } from '../../../src/vm/tables/pending-lookups.js';

const tids = (lookups: PendingLookups, count: number, nowMs: number): number[] =>
  lookups.take(count, nowMs).map(({ tid }) => tid);

test('a thread is pending once, however often it is requested', () => {
  const lookups = new PendingLookups(10, 1000);
  lookups.add(5, false, -1);
  lookups.add(5, true, -1, 70);
  lookups.add(5, false, 3);
  assert.deepEqual(lookups.take(10, 0), [{ tid: 5, ranVcpu: true, vcpu: 3, atMs: 70 }]);
  assert.deepEqual(lookups.take(10, 0), []);
});

test('take returns at most as many threads as requested', () => {
  const lookups = new PendingLookups(10, 1000);
  for (let tid = 1; tid <= 5; tid++) lookups.add(tid, true, -1);
  assert.deepEqual(tids(lookups, 2, 0), [1, 2]);
  assert.deepEqual(tids(lookups, 9, 0), [3, 4, 5]);
});

test('a thread whose look-up failed is not taken again before its pause is over', () => {
  const lookups = new PendingLookups(10, 1000);
  lookups.add(5, true, -1);
  for (const lookup of lookups.take(10, 100)) lookups.fail(lookup, 100);
  lookups.add(5, true, -1);
  assert.deepEqual(tids(lookups, 10, 1099), []);
  assert.deepEqual(tids(lookups, 10, 1100), []);
  lookups.add(5, true, -1);
  assert.deepEqual(tids(lookups, 10, 1101), [5]);
});

test('a thread that turns out to run a vCPU is looked up again at once', () => {
  const lookups = new PendingLookups(10, 1000);
  lookups.add(5, false, -1);
  for (const lookup of lookups.take(10, 0)) lookups.fail(lookup, 0);
  lookups.add(5, false, -1);
  assert.deepEqual(tids(lookups, 10, 1), []);
  lookups.add(5, true, -1);
  assert.deepEqual(tids(lookups, 10, 2), [5]);
});

test('both lists are bounded', () => {
  const lookups = new PendingLookups(3, 1000);
  for (let tid = 1; tid <= 9; tid++) lookups.add(tid, true, -1);
  const taken = lookups.take(100, 0);
  assert.deepEqual(
    taken.map(({ tid }) => tid),
    [1, 2, 3],
  );
  for (const lookup of taken) lookups.fail(lookup, 0);
  lookups.fail({ tid: 4, ranVcpu: true, vcpu: -1, atMs: Number.NaN }, 0);
  for (let tid = 1; tid <= 4; tid++) lookups.add(tid, true, -1);
  assert.deepEqual(tids(lookups, 100, 1), [1], 'the oldest was dropped');
});
