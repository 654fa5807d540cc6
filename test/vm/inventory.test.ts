/** The inventory of a /proc that changes: the tests build the tree and scan it after each change. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { labels, NOTHING, setUp, vm } from '../support/agent/inventory-tree.js';

test('a VM starts, stops, is kept for the grace period and forgotten', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 1, comm: 'systemd', args: ['/sbin/init'] });
  assert.deepEqual(labels(inventory.scan(0)), NOTHING);
  tree.put(vm(100, 'web'));
  assert.deepEqual(labels(inventory.scan(1000)), { ...NOTHING, started: ['web'] });
  assert.deepEqual(labels(inventory.scan(2000)), NOTHING);
  const web = inventory.find(101)?.vm;
  assert.equal(web?.stoppedMs, Number.NaN);
  tree.remove(100);
  assert.deepEqual(labels(inventory.scan(3000)), { ...NOTHING, stopped: ['web'] });
  assert.equal(web?.stoppedMs, 3000);
  assert.deepEqual(inventory.vms(), [web]);
  assert.equal(inventory.find(101)?.vm, web, 'its last events may still be in the buffers');
  assert.deepEqual(labels(inventory.scan(13_000)), { ...NOTHING, freedTids: [100, 101] });
  assert.equal(inventory.find(101), undefined);
  assert.deepEqual(labels(inventory.scan(62_999)), NOTHING);
  assert.deepEqual(labels(inventory.scan(63_000)), { ...NOTHING, forgotten: ['web'] });
  assert.deepEqual(inventory.vms(), []);
});

test('the same process id with another start time is another VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  const first = inventory.find(101)?.vm;
  tree.put(vm(100, 'web', { startTime: 777 }));
  assert.deepEqual(labels(inventory.scan(1)), {
    ...NOTHING,
    started: ['web'],
    stopped: ['web'],
    freedTids: [100, 101],
  });
  const second = inventory.find(101)?.vm;
  assert.notEqual(second, first);
  assert.equal(second?.startTime, 777);
  assert.equal(second?.label, 'web', 'the label was free again');
  tree.put({ pid: 100, comm: 'bash', args: ['bash'], startTime: 888 });
  assert.deepEqual(labels(inventory.scan(2)), { ...NOTHING, stopped: ['web'] });
  assert.deepEqual(inventory.vms(), [first, second]);
});

test('a VM that is restarted before a scan has seen its end keeps its label', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { startTime: 10 }));
  inventory.scan(0);
  tree.remove(100);
  tree.put(vm(200, 'web', { startTime: 20 }));
  tree.answerForThread(200, 201);
  inventory.requestLookup(201, true);
  assert.deepEqual(labels(inventory.resolvePending(1)), {
    ...NOTHING,
    started: ['web'],
    stopped: ['web'],
  });
  assert.equal(inventory.find(201)?.vm.pid, 200);
});

test('of two running VMs with one name, the later one has its process id in its label', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(300, 'web', { startTime: 10 }));
  tree.put(vm(100, 'web', { startTime: 20 }));
  tree.put(vm(200, 'web', { startTime: 20 }));
  tree.put(vm(400, 'web (100)', { startTime: 5 }));
  inventory.scan(0);
  assert.deepEqual(
    [300, 100, 200, 400].map((pid) => inventory.find(pid)?.vm.label),
    ['web', 'web (100) (100)', 'web (200)', 'web (100)'],
  );
  tree.remove(300);
  inventory.scan(1);
  assert.equal(inventory.find(200)?.vm.label, 'web (200)', 'labels never change');
  tree.put(vm(500, 'web', { startTime: 30 }));
  inventory.scan(2);
  assert.equal(inventory.find(500)?.vm.label, 'web');
});

test('a VM without a name is named after its uuid, libvirt scope or process id', (t) => {
  const { tree, inventory } = setUp(t);
  const uuid = '0e44be5a-ff12-52fb-9413-07b52f3593c3';
  tree.put(vm(100, '', { args: ['qemu-kvm', '-uuid', uuid] }));
  tree.put(vm(200, '', { args: ['qemu-kvm'], cgroup: '0::/machine.slice/machine-qemu\\x2d3\\x2ddb.scope\n' }));
  tree.put(vm(300, '', { args: ['qemu-kvm'] }));
  inventory.scan(0);
  assert.deepEqual(
    [100, 200, 300].map((pid) => inventory.find(pid)?.vm.name),
    [uuid, 'db', '300'],
  );
});

test('threads start and end', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  const web = inventory.find(100)?.vm;
  assert.ok(web !== undefined);
  const cpu0 = { tid: 101, comm: 'CPU 0/KVM', startTime: 101 };
  tree.put(vm(100, 'web', { threads: [cpu0, { tid: 150, comm: 'CPU 1/KVM', startTime: 500 }] }));
  assert.deepEqual(labels(inventory.scan(1)), NOTHING);
  assert.equal(inventory.find(150)?.vcpu, 1);
  assert.equal(inventory.vcpuCount(web), 2);
  tree.put(vm(100, 'web', { threads: [cpu0] }));
  inventory.scan(2);
  assert.equal(inventory.vcpuCount(web), 1);
  assert.equal(inventory.find(150)?.vcpu, 1, 'it is still found for a while');
  assert.deepEqual(labels(inventory.scan(20_000)), { ...NOTHING, freedTids: [150] });
  assert.equal(inventory.find(150), undefined);
});

test('a thread id that is reused by another VM is reported as freed', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  tree.put(vm(100, 'a', { threads: [] }));
  tree.put(vm(200, 'b', { threads: [{ tid: 101, comm: 'CPU 5/KVM', startTime: 300 }] }));
  assert.deepEqual(labels(inventory.scan(1)), { ...NOTHING, started: ['b'], freedTids: [101] });
  assert.deepEqual([inventory.find(101)?.vm.label, inventory.find(101)?.vcpu], ['b', 5]);
});

test('a thread id that is reused within a VM is reported within sixteen scans', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  inventory.scan(1);
  tree.put(vm(100, 'a', { threads: [{ tid: 101, comm: 'worker', startTime: 999 }] }));
  const reused: number[] = [];
  for (let scan = 2; scan < 20; scan++) reused.push(...inventory.scan(scan).freedTids);
  assert.deepEqual(reused, [101]);
  assert.equal(inventory.find(101)?.vcpu, -1);
});

test('events of two threads with one id belong to the thread that ran at the time', (t) => {
  const { tree, inventory } = setUp(t);
  const nameAt = (atMs: number) => inventory.find(101, atMs)?.vm.label;
  // The host was started at 0 on the agent's clock.
  tree.write('uptime', '10.00 20.00\n');
  tree.put(vm(100, 'a', { startTime: 300 }));
  inventory.scan(10_000);
  tree.remove(100);
  tree.write('uptime', '20.00 40.00\n');
  tree.put(vm(100, 'b', { startTime: 1500 }));
  inventory.scan(20_000);
  // b's thread started at 15.01 s. When a's thread ended, only the kernel's trace can tell.
  assert.deepEqual([nameAt(14_000), nameAt(15_005), nameAt(15_011), nameAt(Number.NaN)], ['a', 'a', 'b', 'b']);
  inventory.endThread(101, 14_500);
  assert.deepEqual([nameAt(14_000), nameAt(15_011)], ['a', 'b']);
  inventory.endThread(101, 19_000);
  assert.deepEqual([nameAt(14_000), nameAt(19_000), nameAt(19_001)], ['a', 'b', undefined]);
});

test('a thread id whose thread has ended, as the trace shows, is looked up again', (t) => {
  const { tree, inventory } = setUp(t);
  tree.write('uptime', '10.00 20.00\n');
  tree.put(vm(100, 'a', { startTime: 300 }));
  inventory.scan(10_000);
  inventory.endThread(101, 11_000);
  tree.put(vm(100, 'a', { startTime: 300, threads: [] }));
  tree.put(vm(200, 'b', { startTime: 1150, threads: [{ tid: 101, comm: 'CPU 3/KVM', startTime: 1151 }] }));
  tree.answerForThread(200, 101);
  inventory.requestLookup(101, true, 11_600);
  assert.deepEqual(labels(inventory.resolvePending(12_000)), { ...NOTHING, started: ['b'] }, 'nothing is freed twice');
  assert.deepEqual(
    [10_500, 11_600].map((atMs) => inventory.find(101, atMs)?.vm.label),
    ['a', 'b'],
  );
  inventory.scan(30_000);
  assert.deepEqual(inventory.find(101)?.vm.label, 'b');
});

test('a thread that gets its name late is read again', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a', { threads: [{ tid: 101, comm: 'qemu-system-x86' }] }));
  inventory.scan(0);
  assert.equal(inventory.find(101)?.vcpu, -1);
  tree.put(vm(100, 'a', { threads: [{ tid: 101, comm: 'CPU 2/KVM' }] }));
  inventory.scan(1);
  assert.equal(inventory.find(101)?.vcpu, 2);
});

test('the vCPU number of an event overrides the thread name, even if the thread is found later', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  inventory.learnVcpu(101, 9);
  inventory.scan(1);
  assert.equal(inventory.find(101)?.vcpu, 9);
  tree.put(vm(200, 'b'));
  tree.answerForThread(200, 201);
  inventory.learnVcpu(201, 8);
  inventory.resolvePending(2);
  assert.equal(inventory.find(201)?.vcpu, 8);
});

test('a process becomes a VMM by exec', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 100, comm: 'libvirtd', args: ['libvirtd'], startTime: 100 });
  inventory.scan(0);
  tree.put(vm(100, 'web', { startTime: 100 }));
  assert.deepEqual(labels(inventory.scan(1)), { ...NOTHING, started: ['web'] });
});

test('a child process that still looks like its VMM is no second VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.put(vm(200, 'web', { parent: 100 }));
  assert.deepEqual(labels(inventory.scan(0)), { ...NOTHING, started: ['web'] });
  tree.put(vm(300, 'web', { parent: 100 }));
  assert.deepEqual(labels(inventory.scan(1)), NOTHING);
});

test('a zombie has stopped; a process whose main thread has ended has not', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  tree.put(vm(200, 'b'));
  inventory.scan(0);
  tree.put(vm(100, 'a', { state: 'Z', threads: [] }));
  tree.put(vm(200, 'b', { state: 'Z' }));
  assert.deepEqual(labels(inventory.scan(1)), { ...NOTHING, stopped: ['a'] });
  assert.deepEqual(labels(inventory.scan(2)), NOTHING);
});

test('a process whose threads are all ending has stopped, although it still exists', (t) => {
  const { tree, inventory } = setUp(t);
  const PF_EXITING = 4;
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  tree.put(vm(100, 'web', { flags: PF_EXITING }));
  assert.deepEqual(labels(inventory.scan(1)), NOTHING, 'its vCPU still runs');
  const thread = { tid: 101, comm: 'CPU 0/KVM', startTime: 101, flags: PF_EXITING };
  tree.put(vm(100, 'web', { flags: PF_EXITING, threads: [thread] }));
  assert.deepEqual(labels(inventory.scan(2)), { ...NOTHING, stopped: ['web'] });
});

test('no VM is stopped because /proc cannot be read', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  rmSync(tree.root, { recursive: true });
  assert.deepEqual(labels(inventory.scan(1)), NOTHING);
  assert.equal(inventory.vms().length, 1);
});

test('a process that ends while it is read is left out', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  tree.put(vm(200, 'b'));
  rmSync(join(tree.root, '100/stat'));
  rmSync(join(tree.root, '200/task'), { recursive: true });
  assert.deepEqual(labels(inventory.scan(0)), { ...NOTHING, started: ['b'] });
  assert.equal(inventory.find(201), undefined);
});

test('the command line of a known process is not read again', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 50, comm: 'bash', args: ['bash'] });
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  writeFileSync(join(tree.root, '50/cmdline'), 'qemu-kvm\0-name\0x\0');
  writeFileSync(join(tree.root, '100/cmdline'), 'qemu-kvm\0-name\0x\0');
  for (let scan = 1; scan < 50; scan++) assert.deepEqual(labels(inventory.scan(scan)), NOTHING);
});

test('the end of an earlier thread with the same id ends no thread that started later', (t) => {
  const { tree, inventory } = setUp(t);
  // The host was started at 0 on the agent's clock.
  tree.write('uptime', '10.00 20.00\n');
  tree.put(vm(100, 'a', { startTime: 900 }));
  inventory.startThread(100, 101, 9_010);
  inventory.scan(10_000);
  inventory.endThread(101, 8_000); // of another process's thread; its buffer was read late
  assert.equal(inventory.find(101, 10_500)?.vm.label, 'a');
  inventory.requestLookup(101, true);
  assert.deepEqual(labels(inventory.resolvePending(10_600)), NOTHING);
  inventory.endThread(101, 11_000);
  assert.deepEqual(
    [10_999, 11_001].map((atMs) => inventory.find(101, atMs)?.vm.label),
    ['a', undefined],
  );
});

test('what has ended is kept until its events are counted, however long that takes', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'a'));
  inventory.scan(0);
  tree.remove(100);
  inventory.scan(1000, 900);
  inventory.scan(300_000, 900);
  assert.equal(inventory.find(101)?.vm.label, 'a');
  assert.deepEqual(labels(inventory.scan(300_000, 300_000)), { ...NOTHING, forgotten: ['a'], freedTids: [100, 101] });
});
