/** Processes that pose as VMs: a process is a VM once KVM shows one, or once a thread of it has run a vCPU. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Inventory } from '../../src/vm/inventory.js';
import type { Vm } from '../../src/vm/tables/vm.js';
import { labels, NOTHING, setUp, vm } from '../support/agent/inventory-tree.js';
import { type FakeProcess, ProcTree } from '../support/agent/proc-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const UUID = '0e44be5a-ff12-52fb-9413-07b52f3593c3';

/** A process that looks like a VMM and has no VM. `/dev/kvm` is open to anyone who may use KVM. */
function impostor(pid: number, name: string, more: Partial<FakeProcess> = {}): FakeProcess {
  return vm(pid, name, { uid: 1000, hasVm: false, descriptors: ['/dev/kvm', '/tmp/anon_inode:kvm-vm'], ...more });
}

function withDebugfs(t: TestContext): { tree: ProcTree; inventory: Inventory; debugfs: string } {
  const tree = new ProcTree(t);
  const debugfs = temporaryFolder(t, 'kvm');
  return { tree, debugfs, inventory: new Inventory({ procfs: tree.root, live: true, debugfs, graceMs: 60_000 }) };
}

const shown = (inventory: Inventory) => inventory.vms().map(({ label }) => label);

/** The VM of a thread, which has raised an event. */
function ran(inventory: Inventory, tid: number): Vm {
  inventory.requestLookup(tid, true);
  inventory.resolvePending(0);
  const found = inventory.find(tid)?.vm;
  assert.ok(found !== undefined, `thread ${tid}`);
  inventory.claimLabel(found);
  return found;
}

test('a process without a VM is not shown, and takes no name', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(impostor(100, 'web'));
  assert.deepEqual(labels(inventory.scan(0)), NOTHING);
  tree.put(vm(200, 'web'));
  assert.deepEqual(labels(inventory.scan(1)), { ...NOTHING, started: ['web'] });
  assert.deepEqual(inventory.find(201)?.vm.pid, 200);
  assert.deepEqual([inventory.find(100), inventory.find(101)], [undefined, undefined]);
});

test('many processes that look like VMs are not shown, and hide no VM that has run no vCPU', (t) => {
  const { tree, inventory } = setUp(t);
  const descriptors = Array.from({ length: 50 }, () => '/dev/null');
  for (let pid = 1000; pid < 1200; pid++) tree.put(impostor(pid, `fake-${pid}`, { threads: [], descriptors }));
  tree.put(vm(9000, 'web'));
  const started: string[] = [];
  for (let scan = 0; scan < 10; scan++) started.push(...labels(inventory.scan(scan)).started);
  assert.deepEqual([started, shown(inventory)], [['web'], ['web']]);
});

test('a process with the name and uuid of a VM does not continue its series', (t) => {
  const { tree, inventory } = setUp(t);
  const args = ['qemu-system-x86_64', '-name', 'web', '-uuid', UUID];
  tree.put(vm(200, 'web', { args, uid: 107 }));
  inventory.scan(0);
  const web = ran(inventory, 201);
  tree.put(impostor(300, 'web', { args, uid: 107 }));
  inventory.scan(1);
  assert.deepEqual(shown(inventory), ['web']);
  // Even with a VM of its own: it runs in another container.
  const containerId = 'a'.repeat(64);
  tree.put(vm(300, 'web', { args, uid: 107, cgroup: `0::/docker/${containerId}\n` }));
  inventory.scan(2);
  const other = ran(inventory, 301);
  assert.deepEqual([web.label, other.label], ['web', 'web (300)']);
  assert.notEqual(other.series, web.series);
});

test('a process becomes a VM when it has one, whatever program it was when it was found', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(impostor(100, 'first', { startTime: 100 }));
  inventory.scan(0);
  inventory.scan(1);
  // It becomes another program, with the same name of the process, and then creates a VM.
  tree.put(vm(100, 'second', { startTime: 100 }));
  const started: string[] = [];
  for (let scan = 2; scan < 5; scan++) started.push(...labels(inventory.scan(scan)).started);
  assert.deepEqual(started, ['second']);
});

test('debugfs shows a VM at once, among any number of processes', (t) => {
  const { tree, inventory, debugfs } = withDebugfs(t);
  for (let pid = 1000; pid < 1100; pid++) tree.put(impostor(pid, `fake-${pid}`));
  tree.put(impostor(200, 'web'));
  inventory.scan(0);
  inventory.scan(1);
  mkdirSync(join(debugfs, '201-11'));
  tree.answerForThread(200, 201);
  assert.deepEqual(labels(inventory.scan(2)), { ...NOTHING, started: ['web'] }, 'its second thread created the VM');
});

test('a process that has destroyed its VM loses the name', (t) => {
  const { tree, inventory, debugfs } = withDebugfs(t);
  tree.put(impostor(100, 'web'));
  mkdirSync(join(debugfs, '100-11'));
  inventory.scan(0);
  assert.deepEqual(ran(inventory, 101).label, 'web');
  // The process lives on, perhaps as another program.
  rmSync(join(debugfs, '100-11'), { recursive: true });
  assert.deepEqual(labels(inventory.scan(1)).stopped, ['web']);
  tree.put(impostor(200, 'web', { uid: 1000 }));
  mkdirSync(join(debugfs, '200-11'));
  assert.deepEqual(labels(inventory.scan(2)).started, ['web']);
  mkdirSync(join(debugfs, '100-12'));
  assert.deepEqual(labels(inventory.scan(3)).started, ['web (100)'], 'it has a VM again');
});

test('no VM is taken for destroyed because debugfs cannot be read', (t) => {
  const { tree, inventory, debugfs } = withDebugfs(t);
  tree.put(impostor(100, 'web'));
  mkdirSync(join(debugfs, '100-11'));
  inventory.scan(0);
  rmSync(debugfs, { recursive: true });
  assert.deepEqual(labels(inventory.scan(1)), NOTHING);
  assert.deepEqual(shown(inventory), ['web']);
});

test('where KVM shows nothing, a process is a VM once it has run a vCPU', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(impostor(100, 'web'));
  tree.put(impostor(200, 'web'));
  tree.answerForThread(200, 201);
  inventory.scan(0);
  assert.equal(ran(inventory, 201).label, 'web');
  assert.deepEqual(shown(inventory), ['web']);
});

test('a VM that ended before KVM showed it has its name', (t) => {
  const { tree, inventory } = setUp(t);
  inventory.scan(0);
  const latestIs = (pid: number) => tree.write('loadavg', `0.1 0.1 0.1 1/100 ${pid}\n`);
  latestIs(90);
  inventory.checkNewProcesses(0);
  tree.put(impostor(100, 'short'));
  latestIs(101);
  assert.deepEqual(labels(inventory.checkNewProcesses(100)), NOTHING);
  tree.remove(100);
  assert.equal(ran(inventory, 101).label, 'short');
  assert.equal(inventory.find(101)?.vcpu, 0);
  assert.deepEqual(labels(inventory.scan(200)), { ...NOTHING, started: [], stopped: ['short'] });
});

test('a VM that ended before its vCPU thread was seen has its name, by the thread that started that one', (t) => {
  const { tree, inventory } = setUp(t);
  inventory.scan(0);
  const latestIs = (pid: number) => tree.write('loadavg', `0.1 0.1 0.1 1/100 ${pid}\n`);
  latestIs(90);
  inventory.checkNewProcesses(0);
  tree.put({ ...impostor(100, 'short'), threads: [] });
  latestIs(100);
  assert.deepEqual(labels(inventory.checkNewProcesses(100)), NOTHING);
  tree.remove(100);
  inventory.startThread(100, 101, 120);
  inventory.endThread(101, 150);
  inventory.requestLookup(101, true, 140);
  inventory.resolvePending(200);
  assert.equal(inventory.find(101, 140)?.vm.label, 'short');
});

test("another user's VM takes no name from an older VM, even if that has run no vCPU yet", (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { uid: 107 }));
  tree.put(vm(200, 'web', { uid: 1000 }));
  inventory.scan(0);
  assert.deepEqual(
    [201, 101].map((tid) => ran(inventory, tid).label),
    ['web (200)', 'web'],
  );
});

test("another user's VM that runs no vCPU does not keep a name from a VM that does", (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { uid: 1000 }));
  inventory.scan(0);
  tree.put(vm(200, 'web', { uid: 107 }));
  inventory.scan(20_000);
  const web = inventory.find(201)?.vm;
  assert.ok(web !== undefined);
  inventory.claimLabel(web);
  assert.deepEqual([web.label, inventory.find(101)?.vm.label], ['web', 'web (100)']);
});

test("another user's VM does not continue the series of a VM that has stopped", (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { uid: 107 }));
  inventory.scan(0);
  const before = ran(inventory, 101);
  tree.remove(100);
  inventory.scan(1000);
  tree.put(vm(200, 'web', { uid: 1000 }));
  inventory.scan(2000);
  assert.deepEqual(ran(inventory, 201).label, 'web (200)');
  tree.put(vm(300, 'web', { uid: 107 }));
  inventory.scan(3000);
  const after = ran(inventory, 301);
  assert.deepEqual([after.label, after.series], ['web', before.series]);
});

test('root in a container does not continue the series of a VM of another user, root of the host does', (t) => {
  const { tree, inventory } = setUp(t);
  const cgroup = `0::/docker/${'b'.repeat(64)}\n`;
  tree.put(vm(100, 'web', { uid: 107 }));
  inventory.scan(0);
  const before = ran(inventory, 101);
  tree.remove(100);
  inventory.scan(1000);
  tree.put(vm(200, 'web', { uid: 0, cgroup }));
  tree.put(vm(300, 'web', { uid: 0 }));
  inventory.scan(2000);
  assert.equal(ran(inventory, 201).label, 'web (200)');
  const after = ran(inventory, 301);
  assert.deepEqual([after.label, after.series], ['web', before.series]);
});

test("events of another user's VM that are read after its end do not join a VM that has its name since", (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { uid: 1000 }));
  inventory.scan(0);
  const short = inventory.find(101)?.vm;
  assert.ok(short !== undefined);
  tree.remove(100);
  tree.put(vm(200, 'web', { uid: 107 }));
  inventory.scan(1);
  const web = ran(inventory, 201);
  inventory.claimLabel(short);
  assert.deepEqual([web.label, short.label], ['web', 'web (100)']);
  assert.notEqual(short.series, web.series);
});

test('a VMM that gives up the rights of root after its start keeps its series', (t) => {
  const { tree, inventory } = setUp(t);
  const series: number[] = [];
  for (const [life, pid] of [100, 200, 300].entries()) {
    tree.put(vm(pid, 'web', { uid: life === 1 ? 0 : 107 }));
    inventory.scan(life * 1000);
    tree.put(vm(pid, 'web', { uid: 107 }));
    const { label, series: number } = ran(inventory, pid + 1);
    assert.equal(label, 'web');
    series.push(number);
    tree.remove(pid);
    inventory.scan(life * 1000 + 500);
  }
  assert.equal(new Set(series).size, 1);
});

test('each process that poses as a VM for some scans is reported once', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(impostor(100, 'web'));
  tree.put(impostor(200, 'db', { comm: 'firecracker' }));
  tree.put({ pid: 1, comm: 'systemd', args: ['/sbin/init'] });
  const reported: unknown[] = [];
  for (let scan = 0; scan < 40; scan++) {
    inventory.scan(scan);
    const now = inventory.takeImpostors();
    if (scan < 3) assert.deepEqual(now, [], 'it may be about to create its VM');
    reported.push(...now);
  }
  assert.deepEqual(reported, [
    { pid: 100, comm: 'qemu-system-x86' },
    { pid: 200, comm: 'firecracker' },
  ]);
});

test('where command lines are trusted, the number of VMs is limited', (t) => {
  const tree = new ProcTree(t);
  for (let pid = 1000; pid < 1300; pid++) {
    tree.put(impostor(pid, `posed-${pid}`, { threads: [] }));
    rmSync(join(tree.root, `${pid}/fd`), { recursive: true });
  }
  const inventory = new Inventory({ procfs: tree.root, live: true, trustsCommandLines: true });
  for (let scan = 0; scan < 3; scan++) inventory.scan(scan);
  assert.equal(inventory.vms().length, 256);
});

test('command lines are trusted only if asked, and only where neither debugfs nor descriptors can be read', (t) => {
  const { tree, debugfs } = withDebugfs(t);
  tree.put(impostor(100, 'readable'));
  tree.put(impostor(200, 'hidden'));
  rmSync(join(tree.root, '200/fd'), { recursive: true });
  const vmsOf = (options: { debugfs?: string; trustsCommandLines: boolean }) => {
    const inventory = new Inventory({ procfs: tree.root, live: true, ...options });
    inventory.scan(0);
    return shown(inventory);
  };
  assert.deepEqual(vmsOf({ trustsCommandLines: true }), ['hidden']);
  assert.deepEqual(vmsOf({ trustsCommandLines: false }), []);
  assert.deepEqual(vmsOf({ trustsCommandLines: true, debugfs }), []);
});
