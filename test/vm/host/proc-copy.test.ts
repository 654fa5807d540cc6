import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../src/system/errors.js';
import { ProcCopy } from '../../../src/vm/host/proc-copy.js';
import { Inventory } from '../../../src/vm/inventory.js';
import { vm } from '../../support/agent/inventory-tree.js';
import { ProcTree } from '../../support/agent/proc-tree.js';

function setUp(t: TestContext): { tree: ProcTree; target: string; copy: ProcCopy } {
  const tree = new ProcTree(t);
  const target = mkdtempSync(join(tmpdir(), 'proc-copy-'));
  t.after(() => rmSync(target, { recursive: true, force: true }));
  return { tree, target, copy: new ProcCopy(tree.root, target) };
}

/** `vm/vcpu` of these threads, as the inventory reads them from the copy. */
function found(target: string, ...tids: number[]): string[] {
  const inventory = new Inventory({ procfs: target, live: false });
  inventory.scan(0);
  return tids.map((tid) => {
    const thread = inventory.find(tid);
    return `${thread?.vm.label}/${thread?.vcpu}`;
  });
}

test('ProcCopy saves what the inventory needs to find VMs and vCPUs, for the given processes only', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a'));
  tree.put(vm(200, 'b'));
  copy.update([100], 0);
  assert.deepEqual(found(target, 100, 101, 200), ['a/-1', 'a/0', 'undefined/undefined']);
});

test('ProcCopy keeps the files of a process that has ended', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a'));
  copy.update([100], 0);
  tree.remove(100);
  copy.update([100], 0);
  assert.deepEqual(found(target, 101), ['a/0']);
});

test('ProcCopy saves a new thread again for a while: it gets its name a moment after its start', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a', { threads: [{ tid: 101, comm: 'qemu-system-x86', startTime: 101 }] }));
  copy.update([100], 0);
  copy.update([100], 100);
  tree.put(vm(100, 'a'));
  copy.update([100], 200);
  assert.deepEqual(found(target, 101), ['a/0']);
  tree.put(vm(100, 'b'));
  copy.update([100], 60_000);
  assert.deepEqual(found(target, 101), ['a/0'], 'the thread is not new any more');
});

test('ProcCopy keeps the command line of a process that has become a zombie', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a'));
  copy.update([100], 0);
  tree.put({ ...vm(100, 'a'), args: [] });
  copy.update([100], 10);
  assert.deepEqual(found(target, 101), ['a/0']);
});

test('ProcCopy saves vCPUs that are plugged in later', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a'));
  for (let i = 0; i < 3; i++) copy.update([100], i);
  const threads = [0, 1].map((cpu) => ({ tid: 101 + cpu, comm: `CPU ${cpu}/KVM`, startTime: 101 + cpu }));
  tree.put(vm(100, 'a', { threads }));
  copy.update([100], 60_000);
  assert.deepEqual(found(target, 101, 102), ['a/0', 'a/1']);
});

test('ProcCopy does not mix a process with the next one that has its id', (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'first'));
  copy.update([100], 0);
  tree.put(vm(100, 'second', { startTime: 5000 }));
  copy.update([100], 0);
  assert.deepEqual(found(target, 101), ['first/0']);
  assert.match(readFileSync(join(target, '100/cmdline'), 'utf8'), /first/);
});

test('ProcCopy fails with the path that it cannot write', {
  skip: process.getuid?.() === 0 ? 'root can write anywhere' : false,
}, (t) => {
  const { tree, target, copy } = setUp(t);
  tree.put(vm(100, 'a'));
  chmodSync(target, 0o500);
  assert.throws(() => copy.update([100], 0), AgentError);
});
