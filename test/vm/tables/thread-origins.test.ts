/** Threads that have ended before /proc was asked for them belong to the VM of the thread that started them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Inventory } from '../../../src/vm/inventory.js';
import { ThreadOrigins } from '../../../src/vm/tables/thread-origins.js';
import { labels, NOTHING, setUp, vm } from '../../support/agent/inventory-tree.js';

/** The VM of a thread that has ended at `endMs` and ran a vCPU before. */
function vmOfEnded(inventory: Inventory, tid: number, endMs: number): string | undefined {
  inventory.endThread(tid, endMs);
  inventory.requestLookup(tid, true);
  inventory.resolvePending(endMs);
  return inventory.find(tid, endMs)?.vm.label;
}

test('a thread belongs to the VM of the thread that started it', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.put(vm(200, 'db'));
  inventory.scan(0);
  inventory.startThread(100, 150, 10);
  inventory.startThread(201, 250, 10);
  assert.deepEqual([vmOfEnded(inventory, 150, 20), vmOfEnded(inventory, 250, 20)], ['web', 'db']);
  assert.equal(inventory.find(150, 21), undefined, 'its id may be the id of another thread by now');
});

test('also if its end is read before its start, which is in the buffer of another CPU', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  inventory.endThread(150, 20);
  inventory.startThread(100, 150, 10);
  assert.equal(inventory.find(150, 20)?.vm.label, 'web');
  // The id is given again, and again the end is read first.
  inventory.endThread(150, 40);
  inventory.startThread(101, 150, 30);
  assert.deepEqual(
    [20, 40, 41].map((atMs) => inventory.find(150, atMs)?.vm.label),
    ['web', 'web', undefined],
  );
});

test('also if that thread has ended unseen, or its whole process', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  inventory.startThread(101, 150, 10);
  inventory.startThread(150, 160, 11);
  tree.remove(100);
  inventory.scan(20);
  assert.equal(vmOfEnded(inventory, 160, 12), 'web');
  assert.deepEqual(labels(inventory.scan(70_000)).forgotten, ['web']);
  assert.equal(inventory.find(160), undefined);
});

test('a process becomes a VM because a thread that it started ran a vCPU', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { hasVm: false }));
  assert.deepEqual(labels(inventory.scan(0)), NOTHING);
  inventory.startThread(100, 150, 10);
  assert.equal(vmOfEnded(inventory, 150, 20), 'web');
});

test('a thread whose id two creators gave within seconds belongs to none', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.put(vm(200, 'db'));
  inventory.scan(0);
  inventory.startThread(100, 150, 10);
  inventory.startThread(200, 150, 500);
  assert.equal(vmOfEnded(inventory, 150, 600), undefined);
  inventory.resolvePending(60_000);
  inventory.startThread(200, 150, 60_000);
  assert.equal(vmOfEnded(inventory, 150, 60_001), 'db');
});

test('any number of threads of a process that has ended count for its VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  tree.remove(100);
  inventory.scan(5);
  for (let tid = 1000; tid < 41_000; tid++) {
    inventory.startThread(100, tid, 1);
    assert.equal(vmOfEnded(inventory, tid, 2), 'web');
  }
});

test('an id that was given to a thread long ago may be that of a process by now', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  inventory.startThread(100, 150, 10);
  assert.equal(vmOfEnded(inventory, 150, 30_000), undefined);
});

test('a thread that has ended is forgotten after a minute, one that ended just now is not', () => {
  const origins = new ThreadOrigins();
  origins.add(150, 100, 10);
  origins.end(150, 20);
  origins.add(160, 100, 30);
  for (let atMs = 1000; atMs <= 100_000; atMs += 1000) origins.add(1000 + atMs, 100, atMs);
  origins.end(160, 100_000);
  for (let atMs = 101_000; atMs <= 129_000; atMs += 1000) origins.add(1000 + atMs, 100, atMs);
  assert.deepEqual([origins.endOf(150), origins.endOf(160)], [Number.NaN, 100_000]);
});

test('a thread that lives is read from /proc', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  inventory.startThread(100, 201, 10);
  tree.put(vm(200, 'db'));
  tree.answerForThread(200, 201);
  inventory.requestLookup(201, true);
  inventory.resolvePending(20);
  assert.equal(inventory.find(201)?.vm.label, 'db');
});
