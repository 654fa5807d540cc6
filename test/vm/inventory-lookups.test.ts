/** Threads whose look-up was requested, and threads that are not in the list of their VM's process. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { labels, NOTHING, setUp, vm } from '../support/agent/inventory-tree.js';
import type { FakeProcess } from '../support/agent/proc-tree.js';

const UID = 'dc380811-8168-4a9e-9b4a-56ded1b6fe9c';

test('a look-up finds the thread, its VM and the other threads of the VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.answerForThread(100, 101);
  inventory.requestLookup(101, true);
  assert.equal(inventory.find(101), undefined);
  assert.deepEqual(labels(inventory.resolvePending(0)), { ...NOTHING, started: ['web'] });
  assert.equal(inventory.find(101)?.vm.label, 'web');
  assert.equal(inventory.find(100)?.vm.label, 'web');
  assert.deepEqual(labels(inventory.resolvePending(1)), NOTHING);
});

test('VMs with one name that look-ups find are labelled in the order of their start', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web', { startTime: 20 }));
  tree.put(vm(200, 'web', { startTime: 10 }));
  inventory.requestLookup(100, true);
  inventory.requestLookup(200, true);
  inventory.resolvePending(0);
  assert.deepEqual([inventory.find(100)?.vm.label, inventory.find(200)?.vm.label], ['web (100)', 'web']);
});

test('a failed look-up is repeated after ten seconds', (t) => {
  const { tree, inventory } = setUp(t);
  inventory.requestLookup(100, true);
  inventory.resolvePending(0);
  tree.put(vm(100, 'web'));
  inventory.requestLookup(100, true);
  assert.deepEqual(labels(inventory.resolvePending(9_999)), NOTHING);
  inventory.resolvePending(10_000);
  inventory.requestLookup(100, true);
  assert.deepEqual(labels(inventory.resolvePending(10_001)), { ...NOTHING, started: ['web'] });
});

/** Returns an inventory that 100 VMs' threads are asked of, while each look at the clock finds it `stepMs` later. */
function askedFor100(t: TestContext, stepMs: number) {
  const { tree, inventory } = setUp(t);
  for (let pid = 1000; pid < 1100; pid++) {
    tree.put(vm(pid, `vm-${pid}`, { threads: [] }));
    inventory.requestLookup(pid, true);
  }
  let clockMs = 0;
  t.mock.method(performance, 'now', () => (clockMs += stepMs));
  return inventory;
}

test('a call looks up a few threads only when that takes long', (t) => {
  const inventory = askedFor100(t, 1000);
  const first = inventory.resolvePending(0).started.length;
  assert.ok(first > 0 && first < 100, String(first));
  for (let call = 0; call < 10; call++) inventory.resolvePending(call);
  assert.equal(inventory.vms().length, 100);
});

test('a call looks all threads up when that takes no time', (t) => {
  assert.equal(askedFor100(t, 0).resolvePending(0).started.length, 100);
});

test('a thread that creates a VM is expected as its process, not as a VM of its own', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.answerForThread(100, 101);
  inventory.expectVm(101, 0);
  assert.deepEqual(labels(inventory.checkNewProcesses(1)), { ...NOTHING, started: ['web'] });
  assert.deepEqual(
    [100, 101].map((tid) => inventory.find(tid)?.vm.pid),
    [100, 100],
  );
});

test('an unknown program becomes a VM when it runs a vCPU, and only then', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 100, comm: 'uhyve', args: ['/bin/uhyve'], startTime: 7, threads: [{ tid: 101, comm: 'x' }] });
  tree.put({ pid: 200, comm: 'bash', args: ['bash'] });
  tree.put({ pid: 300, comm: 'kswapd0', kernel: true });
  tree.answerForThread(100, 101);
  inventory.scan(0);
  inventory.requestLookup(101, false);
  inventory.requestLookup(200, false);
  inventory.requestLookup(300, true); // impossible, but it must not become a VM
  assert.deepEqual(labels(inventory.resolvePending(1)), NOTHING);
  inventory.requestLookup(101, true);
  assert.deepEqual(labels(inventory.resolvePending(2)), { ...NOTHING, started: ['100'] });
  assert.equal(inventory.find(101)?.vm.vmm, 'uhyve');
  assert.deepEqual(labels(inventory.scan(3)), NOTHING, 'it stays a VM');
});

test('the kernel threads of a VM are found by the id in their names, once the VM is known', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 90, comm: 'kvm-pit/100', kernel: true, startTime: 50 }); // of an older VM that had this id
  tree.put({ pid: 120, comm: 'kvm-pit/100', kernel: true, startTime: 105 });
  tree.put({ pid: 121, comm: 'vhost-101', kernel: true, startTime: 106 }); // created by a thread of the VM
  tree.put({ pid: 122, comm: 'kvm-pit/100', args: ['evil'], startTime: 107 });
  inventory.scan(0);
  tree.put(vm(100, 'a'));
  inventory.scan(1);
  assert.deepEqual(
    [90, 120, 121, 122].map((tid) => inventory.find(tid)?.vm.label),
    [undefined, 'a', 'a', undefined],
  );
  assert.equal(inventory.find(120)?.vcpu, -1);
  tree.remove(120);
  inventory.scan(2);
  assert.deepEqual(labels(inventory.scan(20_000)), { ...NOTHING, freedTids: [120] });
});

test('the pod of a Kata VM is the pod of its vCPU threads', (t) => {
  const { tree, inventory } = setUp(t);
  const sandbox = 'fa7f0ec4fbcbb70c69565a5b2d269926e04ec5601dff59235199d6e60198e95c';
  const process = (cgroup: string): FakeProcess => ({
    ...vm(100, `sandbox-${sandbox}`),
    cgroup: `0::/kata_overhead/${sandbox}\n`,
    threads: [{ tid: 101, comm: 'CPU 0/KVM', startTime: 101, cgroup }],
  });
  tree.put(process(`0::/kata_overhead/${sandbox}\n`)); // the thread has not been moved yet
  inventory.scan(0);
  const kata = inventory.find(101)?.vm;
  assert.deepEqual([kata?.podUid, kata?.containerId, kata?.sandbox], ['', sandbox, sandbox]);
  tree.put(process(`0::/kubepods/burstable/pod${UID}/${sandbox}\n`));
  inventory.scan(1);
  assert.equal(kata?.podUid, UID);
});

test('a VM of KubeVirt is recognised by its pod', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'shop_web-1', { cgroup: `0::/kubepods/pod${UID}/x\n` }));
  inventory.scan(0);
  const { namespace, vmi, podUid, label } = inventory.find(100)?.vm ?? {};
  assert.deepEqual([namespace, vmi, podUid, label], ['shop', 'web-1', UID, 'shop_web-1']);
});

test("a thread is found by its id in its VM's own pid namespace", (t) => {
  const { tree, inventory } = setUp(t);
  const inPod = (pid: number, name: string, inner: number): FakeProcess => ({
    ...vm(pid, name),
    ids: [pid, inner],
    threads: [{ tid: pid + 1, comm: 'CPU 0/KVM', startTime: pid + 1, ids: [pid + 1, inner + 8] }],
  });
  tree.put(inPod(1000, 'a', 72));
  tree.put(inPod(2000, 'b', 72));
  tree.put(inPod(3000, 'c', 90));
  tree.put(vm(98, 'host')); // its thread 99 exists on the host
  tree.put({ pid: 500, comm: 'kvm-pit/90', kernel: true, startTime: 4000 });
  inventory.scan(0);
  const label = (pid: number | undefined, tid: number): string | undefined =>
    inventory.findNamespaced(pid, tid)?.vm.label;
  assert.equal(label(undefined, 98), 'host', 'the id on the host wins, although c has a thread 98 too');
  assert.equal(label(3000, 98), 'c');
  assert.equal(label(undefined, 80), undefined, 'both a and b have such a thread');
  assert.equal(label(1000, 80), 'a');
  assert.equal(label(2000, 80), 'b');
  assert.equal(inventory.findNamespaced(2000, 80)?.tid, 2001);
  assert.equal(label(2000, 2001), 'b');
  assert.equal(label(undefined, 90), 'c');
  assert.equal(label(1000, 90), undefined);
  assert.equal(inventory.find(500)?.vm.label, 'c', 'the name of kvm-pit holds the inner id');
  tree.remove(1000);
  inventory.scan(1);
  assert.equal(label(undefined, 80), 'b', 'a has stopped');
});

test('one thread that runs a vCPU makes its process a VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put({ pid: 100, comm: 'uhyve', args: ['uhyve'], threads: [{ tid: 101 }, { tid: 102 }] });
  for (const tid of [101, 102]) tree.answerForThread(100, tid);
  inventory.requestLookup(101, true);
  inventory.requestLookup(102, false);
  assert.deepEqual(labels(inventory.resolvePending(0)), { ...NOTHING, started: ['100'] });
  assert.equal(inventory.find(102)?.vm.label, '100');
});

test('a thread whose id another thread had, which was not found, is looked up at once', (t) => {
  const { tree, inventory } = setUp(t);
  inventory.requestLookup(101, true);
  inventory.resolvePending(0);
  tree.put(vm(100, 'web'));
  tree.answerForThread(100, 101);
  inventory.startThread(100, 101, 500);
  inventory.requestLookup(101, true);
  assert.deepEqual(labels(inventory.resolvePending(1000)), { ...NOTHING, started: ['web'] });
});

test('a process that is ending when its thread is looked up is the VM that it was about to be', (t) => {
  const { tree, inventory } = setUp(t);
  const put = (state: string) => {
    const thread = { tid: 101, comm: 'CPU 0/KVM', startTime: 101, state };
    tree.put(vm(100, 'web', { hasVm: false, state, threads: [thread] }));
    tree.answerForThread(100, 101);
  };
  tree.write('loadavg', '0.40 0.64 0.77 1/91 99\n');
  inventory.checkNewProcesses(0);
  put('S');
  tree.write('loadavg', '0.40 0.64 0.77 1/91 101\n');
  inventory.checkNewProcesses(1);
  put('Z');
  inventory.requestLookup(101, true);
  assert.deepEqual(labels(inventory.resolvePending(2)), { ...NOTHING, started: ['web'] });
  assert.deepEqual([inventory.find(101)?.vm.label, inventory.find(101)?.vcpu], ['web', 0]);
});
