/** The VM that the events in a trace file of QEMU belong to. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { QemuFileOwner } from '../../src/agent/qemu-file-owner.js';
import { Inventory } from '../../src/vm/inventory.js';
import { ProcTree } from '../support/agent/proc-tree.js';

const QEMU = ['/usr/bin/qemu-system-x86_64', '-name'];

/** vm-a and vm-b run on the host, vm-c and vm-d each in a container where their threads have the ids 7 and 9. */
function host(t: TestContext): { proc: ProcTree; inventory: Inventory } {
  const proc = new ProcTree(t);
  for (const [index, name] of ['vm-a', 'vm-b', 'vm-c', 'vm-d'].entries()) {
    const pid = 1000 * (index + 1);
    const inner = index < 2 ? {} : { ids: [pid, 7] };
    const innerThread = index < 2 ? {} : { ids: [pid + 1, 9] };
    proc.put({
      pid,
      comm: 'qemu-system-x86',
      startTime: pid,
      args: [...QEMU, `guest=${name},debug-threads=on`],
      ...inner,
      threads: [{ tid: pid + 1, comm: 'CPU 0/KVM', startTime: pid, ...innerThread }],
    });
  }
  const inventory = new Inventory({ procfs: proc.root, live: true });
  inventory.scan(0);
  return { proc, inventory };
}

const CASES: readonly (readonly [
  string,
  path: string,
  opener: number | undefined,
  id: number,
  vm: string,
  vcpu: boolean,
])[] = [
  ['a thread of the host', '/x/any.log', undefined, 2001, 'vm-b', true],
  ['a thread of the host wins over the name of the file', '/x/vm-a.log', undefined, 2000, 'vm-b', false],
  ['a thread in the pid namespace of the process that has the file open', '/x/any.log', 4000, 9, 'vm-d', true],
  ['an id that two VMs have: the name of the file', '/x/vm-c.log', undefined, 9, 'vm-c', false],
  ['no thread: the process that has the file open', '/x/vm-a.log', 2000, 0, 'vm-b', false],
  ['no thread: the name that libvirt gave the file', '/var/log/libvirt/qemu/vm-a.log', undefined, 0, 'vm-a', false],
  [
    'an unknown thread: the name that libvirt gave the file',
    '/var/log/libvirt/qemu/vm-a.log',
    undefined,
    77,
    'vm-a',
    false,
  ],
  ['the process in the name of a simple trace', '/x/trace-3000', undefined, 0, 'vm-c', false],
  ['no known VM: the name of the file', '/x/elsewhere.log', undefined, 0, 'elsewhere', false],
  ['no known VM: the process in the name of the file', '/x/trace-99', undefined, 99, '99', false],
];

for (const [what, path, opener, id, vm, isVcpu] of CASES)
  test(what, (t) => {
    const owner = new QemuFileOwner(host(t).inventory, path, 'log');
    if (opener !== undefined) owner.setOpener(opener);
    assert.deepEqual([owner.labelOf(id), owner.isVcpu(id)], [vm, isVcpu]);
  });

test('a stopped VM keeps its ids until it is forgotten; when it is restarted, events without an id are its new life', (t) => {
  const { proc, inventory } = host(t);
  const owner = new QemuFileOwner(inventory, '/x/vm-a.log', 'log');
  assert.equal(owner.labelOf(0), 'vm-a');
  const [old] = inventory.vms();
  proc.remove(1000);
  inventory.scan(1);
  assert.deepEqual([owner.labelOf(0), owner.vmOf(0)], ['vm-a', old]);
  proc.put({ pid: 5000, comm: 'qemu-system-x86', startTime: 5000, args: [...QEMU, 'guest=vm-a'] });
  const { started } = inventory.scan(2);
  for (const vm of started) owner.restarted(vm);
  assert.deepEqual([owner.labelOf(0), owner.vmOf(0)], ['vm-a', started[0]]);
  if (old !== undefined) owner.forget(old);
  assert.equal(owner.vmOf(0), started[0]);
});

test('an unknown thread belongs to the VM of the other threads in its file', (t) => {
  const owner = new QemuFileOwner(host(t).inventory, '/x/any.log', 'log');
  assert.equal(owner.labelOf(77), 'any');
  assert.equal(owner.labelOf(2001), 'vm-b');
  assert.equal(owner.labelOf(77), 'vm-b');
});

test('the ids of a simple trace are processes: they run no vCPU, and an unknown one is labelled with its process id', (t) => {
  const { inventory } = host(t);
  const labels = [1000, 99].map((pid) => new QemuFileOwner(inventory, '/x/any', 'simple').labelOf(pid));
  assert.deepEqual(labels, ['vm-a', '99']);
  assert.equal(new QemuFileOwner(inventory, '/x/any', 'simple').isVcpu(1001), false);
  assert.equal(new QemuFileOwner(inventory, '/x/any', 'log').isVcpu(1001), true);
});
