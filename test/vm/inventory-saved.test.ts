/** The inventory over saved copies of /proc and over the lists of threads that recordings carry. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Inventory } from '../../src/vm/inventory.js';
import { ProcTree } from '../support/agent/proc-tree.js';
import { fixture } from '../support/fixtures.js';

/** Thread -> VM, vCPU: from `ps` of the recorded hosts; -1 for threads that are no vCPU. */
const RECORDINGS: readonly { tree: string; threads: readonly [tid: number, vm: string, vcpu: number][] }[] = [
  {
    tree: 'svm/two-vms-6.12/proc',
    threads: [
      [178, 'vm-a', -1],
      [183, 'vm-a', -1],
      [187, 'vm-a', 0],
      [188, 'vm-a', 1],
      [196, 'vm-a', -1],
      [179, 'vm-b', -1],
      [186, 'vm-b', 0],
    ],
  },
  {
    tree: 'demo/proc',
    threads: [
      [165, 'web-1', -1],
      [180, 'web-1', 0],
      [181, 'legacy-db', 0],
      [187, 'legacy-db', -1],
    ],
  },
  {
    tree: 'ftrace-text/c1-top-notgid-all/fixture/proc',
    threads: [
      [7514, 'vm-a', -1],
      [7520, 'vm-a', 0],
      [7522, 'vm-a', 1],
      [7524, 'vm-a', -1], // kvm-pit/7514
      [7521, 'vm-b', 0],
      [7523, 'vm-b', -1], // kvm-pit/7515
    ],
  },
  {
    tree: 'ftrace-text/c3-instance-copymarker-tgid/fixture/proc',
    threads: [
      [7550, 'vm-a', 0],
      [7551, 'vm-a', 1],
      [7553, 'vm-a', -1],
      [7552, 'vm-b', 0],
      [7555, 'vm-b', -1],
    ],
  },
  {
    tree: 'ftrace-text/c5-lost/fixture/proc',
    threads: [
      [7580, 'vm-a', 0],
      [7581, 'vm-a', 1],
      [7582, 'vm-b', 0],
      [7586, 'vm-b', -1],
    ],
  },
];

for (const { tree, threads } of RECORDINGS) {
  test(`a scan finds the VMs, threads and vCPUs in ${tree}`, () => {
    const inventory = new Inventory({ procfs: fixture(tree), live: false });
    const { started, stopped, forgotten, freedTids } = inventory.scan(0);
    assert.deepEqual(new Set(started.map(({ label }) => label)), new Set(threads.map(([, vm]) => vm)));
    assert.deepEqual([stopped, forgotten, freedTids], [[], [], []]);
    assert.deepEqual(new Set(inventory.vms()), new Set(started));
    for (const [tid, vm, vcpu] of threads) {
      const thread = inventory.find(tid);
      assert.deepEqual([thread?.vm.label, thread?.vcpu], [vm, vcpu], String(tid));
    }
    assert.equal(inventory.find(1), undefined);
    const later = inventory.scan(1e9);
    assert.deepEqual(later, { started: [], stopped: [], forgotten: [], freedTids: [] });
  });
}

test('a VM has the properties on its command line', () => {
  const inventory = new Inventory({ procfs: fixture('svm/two-vms-6.12/proc'), live: false });
  inventory.scan(0);
  const vm = inventory.find(188)?.vm;
  assert.ok(vm !== undefined);
  assert.deepEqual(vm, {
    name: 'vm-a',
    label: 'vm-a',
    pid: 178,
    uid: 0,
    startTime: 525,
    // The copy does not say when the host was started.
    startSeconds: Number.NaN,
    // The VM has no event so far.
    series: 0,
    vmm: 'qemu',
    manager: '',
    uuid: '11111111-2222-3333-4444-55555555555a',
    vmId: '',
    podUid: '',
    containerId: '',
    namespace: '',
    vmi: '',
    sandbox: '',
    stoppedMs: Number.NaN,
  });
  assert.equal(inventory.vcpuCount(vm), 2);
  assert.equal(inventory.find(187)?.startTime !== undefined, true);
});

test('debugfs has the vCPU numbers of threads without names', (t) => {
  const tree = new ProcTree(t);
  const args = ['qemu-system-x86_64', '-name', 'vm-a'];
  tree.put({ pid: 178, comm: 'qemu-system-x86', args, threads: [{ tid: 187 }, { tid: 188 }, { tid: 190 }] });
  const debugfs = fixture('svm/two-vms-6.12/debugfs-kvm');
  const inventory = new Inventory({ procfs: tree.root, live: false, debugfs });
  inventory.scan(0);
  assert.deepEqual(
    [187, 188, 190, 178].map((tid) => inventory.find(tid)?.vcpu),
    [0, 1, -1, -1],
  );
});

test('a thread that only the recording names joins its VM in the saved /proc', () => {
  const inventory = new Inventory({ procfs: fixture('svm/two-vms-6.12/proc'), live: false });
  inventory.addThread(194, -1, 'kvm-pit/179'); // named before the scan, the next ones after it
  inventory.scan(0);
  inventory.addThread(195, -1, 'kvm-pit/178');
  inventory.addThread(300, 178, 'worker');
  inventory.addThread(188, 999, 'CPU 7/KVM'); // what /proc says wins
  inventory.addThread(42, 42, 'bash');
  assert.deepEqual(
    [194, 195, 300].map((tid) => inventory.find(tid)?.vm.label),
    ['vm-b', 'vm-a', 'vm-a'],
  );
  assert.deepEqual([inventory.find(188)?.vm.label, inventory.find(188)?.vcpu], ['vm-a', 1]);
  assert.equal(inventory.find(42), undefined);
  assert.equal(inventory.vms().length, 2);
});

/** ftrace-text/c3-instance-copymarker-tgid, without its /proc. */
test('without a saved /proc a VM is named after its process id', (t) => {
  const inventory = new Inventory({ procfs: join(new ProcTree(t).root, 'nowhere'), live: false });
  inventory.addThread(7545, 7545, 'qemu-system-x86');
  inventory.addThread(7550, 7544, 'CPU 0/KVM');
  inventory.addThread(7551, -1, '<...>');
  inventory.addThread(7551, 7544, 'CPU 1/KVM');
  inventory.addThread(7552, 7545, 'CPU 0/KVM');
  inventory.addThread(7552, -1, 'CPU 0/KVM'); // the process need not be repeated
  inventory.addThread(7553, 7553, 'kvm-pit/7544');
  inventory.addThread(7560, 7560, 'bash');
  inventory.addThread(0, 0, '<idle>');
  const { started } = inventory.scan(0);
  assert.deepEqual(
    started.map(({ label, pid, vmm }) => [label, pid, vmm]),
    [
      ['7544', 7544, 'unknown'],
      ['7545', 7545, 'qemu'],
    ],
  );
  const seen = [7545, 7550, 7551, 7552, 7553].map((tid) => [inventory.find(tid)?.vm.label, inventory.find(tid)?.vcpu]);
  assert.deepEqual(seen, [
    ['7545', -1],
    ['7544', 0],
    ['7544', 1],
    ['7545', 0],
    ['7544', -1],
  ]);
  assert.equal(inventory.find(7560), undefined);
});

test('without a saved /proc, a thread without a name that runs a vCPU makes its process a VM', (t) => {
  const inventory = new Inventory({ procfs: join(new ProcTree(t).root, 'nowhere'), live: false });
  inventory.addThread(101, 100, 'qemu-system-x86');
  inventory.addThread(201, 200, 'bash');
  inventory.addThread(301, -1, 'qemu-system-x86');
  inventory.requestLookup(101, true);
  inventory.learnVcpu(101, 4);
  inventory.requestLookup(201, false);
  inventory.requestLookup(301, true);
  assert.deepEqual(
    inventory.resolvePending(0).started.map(({ label }) => label),
    ['100'],
  );
  assert.equal(inventory.find(101)?.vcpu, 4);
  assert.equal(inventory.find(201), undefined);
  assert.equal(inventory.find(301), undefined);
});

test('the process that a recording gave for a thread is remembered', (t) => {
  const inventory = new Inventory({ procfs: join(new ProcTree(t).root, 'nowhere'), live: false });
  inventory.addThread(101, 100, '<...>');
  inventory.addThread(101, -1, 'CPU 2/KVM');
  assert.deepEqual([inventory.find(101)?.vm.label, inventory.find(101)?.vcpu], ['100', 2]);
});

test('a VM whose process was not saved is kept beside those in the saved /proc', () => {
  const inventory = new Inventory({ procfs: fixture('svm/two-vms-6.12/proc'), live: false });
  inventory.addThread(901, 900, 'CPU 0/KVM');
  inventory.scan(0);
  assert.deepEqual(inventory.scan(1e9).stopped, []);
  assert.equal(inventory.find(901)?.vm.label, '900');
  assert.equal(inventory.vms().length, 3);
});

test('the saved /proc overrides what the recording said before', () => {
  const inventory = new Inventory({ procfs: fixture('svm/two-vms-6.12/proc'), live: false });
  inventory.addThread(187, 178, 'CPU 0/KVM');
  inventory.addThread(195, -1, 'kvm-pit/178');
  assert.equal(inventory.find(187)?.vm.label, '178');
  const { started, stopped } = inventory.scan(0);
  assert.deepEqual(
    stopped.map(({ label }) => label),
    ['178'],
  );
  assert.ok(started.some(({ label }) => label === 'vm-a'));
  assert.deepEqual(
    [187, 195].map((tid) => inventory.find(tid)?.vm.label),
    ['vm-a', 'vm-a'],
  );
});

test('a thread id that the recording gives to another VM is reported as freed', (t) => {
  const inventory = new Inventory({ procfs: join(new ProcTree(t).root, 'nowhere'), live: false });
  inventory.addThread(101, 100, 'CPU 0/KVM');
  inventory.addThread(101, 200, 'CPU 3/KVM');
  assert.deepEqual([inventory.find(101)?.vm.label, inventory.find(101)?.vcpu], ['200', 3]);
  assert.deepEqual(inventory.scan(0).freedTids, [101]);
});
