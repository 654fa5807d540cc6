/** The kernel gives the id of an ended thread to another process, while events of the first are not read yet. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Inventory } from '../../src/vm/inventory.js';
import { labels, NOTHING, setUp as setUpTree, vm } from '../support/agent/inventory-tree.js';
import type { ProcTree } from '../support/agent/proc-tree.js';

/** A host that was started at 0 on the agent's clock, and 12 s later now. Start times are in hundredths of seconds. */
function setUp(t: TestContext): { tree: ProcTree; inventory: Inventory } {
  const { tree, inventory } = setUpTree(t);
  tree.write('uptime', '12.00 24.00\n');
  inventory.scan(12_000);
  return { tree, inventory };
}

/** An unrelated program with the id of a thread that has ended. */
const sleep = (pid: number, startTime: number) => ({
  pid,
  comm: 'sleep',
  args: ['sleep', '60'],
  startTime,
  hasVm: false,
});

test('a process that began after an event did not raise it', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(sleep(100, 1150));
  inventory.requestLookup(100, true, 11_000);
  assert.deepEqual(labels(inventory.resolvePending(12_000)), NOTHING);
  assert.equal(inventory.find(100, 11_000), undefined);
});

test('one that began before it did, up to the precision of start times', (t) => {
  const { tree, inventory } = setUp(t);
  // The process may have begun up to 10 ms later than /proc says, and the host up to 10 ms earlier.
  for (const [pid, startTime] of [
    [100, 1100],
    [200, 1101],
    [300, 1102],
  ] as const) {
    tree.put(sleep(pid, startTime));
    inventory.requestLookup(pid, true, 11_000);
  }
  assert.deepEqual(labels(inventory.resolvePending(12_000)), { ...NOTHING, started: ['100', '200'] });
});

test('a thread that has ended is not looked for by its id', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(sleep(100, 1000));
  inventory.endThread(100, 11_000);
  inventory.requestLookup(100, true);
  assert.deepEqual(labels(inventory.resolvePending(12_000)), NOTHING);
  // The next thread with the id raises an event.
  inventory.requestLookup(100, true, 11_001);
  assert.deepEqual(labels(inventory.resolvePending(30_000)), { ...NOTHING, started: ['100'] });
});

test('a VM has no events of a thread that had an id before its own thread', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { startTime: 1150 }));
  inventory.scan(12_000);
  // Its vCPU's thread began at 11.51 s.
  assert.deepEqual(
    [11_000, 11_499, 11_500, 11_520].map((atMs) => inventory.find(101, atMs)?.vm.label),
    [undefined, undefined, 'web', 'web'],
  );
});

test('nor of a thread before one that was never seen in /proc', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { startTime: 100 }));
  inventory.scan(12_000);
  inventory.startThread(100, 150, 11_000);
  inventory.endThread(150, 11_500);
  assert.deepEqual(
    [10_999, 11_000, 11_500, 11_501].map((atMs) => inventory.find(150, atMs)?.vm.label),
    [undefined, 'web', 'web', undefined],
  );
});

test('a process that has the id of the thread that started another one has no VM for that', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(sleep(100, 1150));
  inventory.startThread(100, 150, 11_000);
  inventory.endThread(150, 11_100);
  inventory.requestLookup(150, true);
  assert.deepEqual(labels(inventory.resolvePending(12_000)), NOTHING);
});

test('a process that looked like a VM has no events of threads before its own', (t) => {
  const { tree, inventory } = setUp(t);
  inventory.checkNewProcesses(12_000);
  tree.write('loadavg', '0.00 0.00 0.00 1/100 99\n');
  inventory.checkNewProcesses(12_000);
  tree.put(vm(100, 'web', { startTime: 1150, hasVm: false }));
  tree.write('loadavg', '0.00 0.00 0.00 1/100 101\n');
  inventory.checkNewProcesses(12_000);
  tree.remove(100);
  inventory.requestLookup(101, true, 11_000);
  assert.deepEqual(labels(inventory.resolvePending(12_000)), NOTHING);
  inventory.resolvePending(30_000);
  inventory.requestLookup(101, true, 11_600);
  assert.deepEqual(labels(inventory.resolvePending(30_000)).started, ['web']);
});

test('a VM whose process id another user has by now is not taken for a VM of that user', (t) => {
  const { tree, inventory } = setUp(t);
  const claim = (pid: number) => {
    const vm = inventory.vms().find((candidate) => candidate.pid === pid);
    assert.ok(vm !== undefined);
    inventory.claimLabel(vm);
    return vm.label;
  };
  tree.put(vm(100, 'web', { startTime: 300, uid: 1000 }));
  inventory.scan(12_000);
  assert.equal(claim(100), 'web');
  tree.remove(100);
  inventory.scan(13_000);
  tree.put(vm(200, 'web', { startTime: 1350, uid: 2000 }));
  inventory.scan(14_000);
  // Its events are read after its end. The root of the host may continue the series of any VM.
  tree.put({ ...sleep(200, 1450), uid: 0 });
  assert.equal(claim(200), 'web (200)');
});
