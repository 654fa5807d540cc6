/** The VM that the events in a trace file of QEMU belong to. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type FileRights, QemuFileOwner } from '../../src/agent/qemu-file-owner.js';
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
      uid: [107, 107, 1000, 0][index] ?? 0,
      args: [...QEMU, `guest=${name},debug-threads=on`],
      ...inner,
      threads: [{ tid: pid + 1, comm: 'CPU 0/KVM', startTime: pid, ...innerThread }],
    });
  }
  const inventory = new Inventory({ procfs: proc.root, live: true });
  inventory.scan(0);
  return { proc, inventory };
}

const IN_REPORTS: readonly (readonly [string, path: string, id: number, vm: string, vcpu: boolean])[] = [
  ['a thread of the host', '/x/any.log', 2001, 'vm-b', true],
  ['a thread of the host wins over the name of the file', '/x/vm-a.log', 2000, 'vm-b', false],
  ['an id that two VMs have: the name of the file', '/x/vm-c.log', 9, 'vm-c', false],
  ['no thread: the name that libvirt gave the file', '/var/log/libvirt/qemu/vm-a.log', 0, 'vm-a', false],
  ['an unknown thread: the name that libvirt gave the file', '/var/log/libvirt/qemu/vm-a.log', 77, 'vm-a', false],
  ['the process in the name of a simple trace', '/x/trace-3000', 0, 'vm-c', false],
  ['no known VM: the name of the file', '/x/elsewhere.log', 0, 'elsewhere', false],
  ['no known VM: the process in the name of the file', '/x/trace-99', 99, '99', false],
];

for (const [what, path, id, vm, isVcpu] of IN_REPORTS)
  test(`in a report: ${what}`, (t) => {
    const owner = new QemuFileOwner(host(t).inventory, path, 'log');
    assert.deepEqual([owner.labelOf(id), owner.isVcpu(id)], [vm, isVcpu]);
  });

const OURS: FileRights = { uid: 0, isOurs: true };
/** A file that user 107 can write, or could have put there. */
const OF_107: FileRights = { uid: 107, isOurs: false };

interface LiveCase {
  readonly what: string;
  readonly path: string;
  readonly rights: FileRights;
  /** VMs whose process has the file open. */
  readonly openers?: readonly string[];
  /** VMs whose descriptors are hidden from the agent. */
  readonly hidden?: readonly string[];
  readonly id: number;
  readonly vm: string;
  readonly isVcpu?: boolean;
}

const LIVE: readonly LiveCase[] = [
  {
    what: 'a thread of the opener',
    path: '/x/any.log',
    rights: OF_107,
    openers: ['vm-b'],
    id: 2001,
    vm: 'vm-b',
    isVcpu: true,
  },
  {
    what: "a thread in the opener's pid namespace",
    path: '/x/any.log',
    rights: OURS,
    openers: ['vm-d'],
    id: 9,
    vm: 'vm-d',
    isVcpu: true,
  },
  {
    what: "another VM's thread counts for the opener",
    path: '/x/any.log',
    rights: OURS,
    openers: ['vm-a'],
    id: 2001,
    vm: 'vm-a',
  },
  {
    what: "the name of another VM's file does not matter if there is an opener",
    path: '/x/vm-b.log',
    rights: OURS,
    openers: ['vm-a'],
    id: 0,
    vm: 'vm-a',
  },
  {
    what: 'of several openers, the one with that thread',
    path: '/x/any.log',
    rights: OURS,
    openers: ['vm-a', 'vm-b'],
    id: 2001,
    vm: 'vm-b',
    isVcpu: true,
  },
  {
    what: 'a file of root that no VM has open: the name that libvirt gave it',
    path: '/log/vm-a.log',
    rights: OURS,
    id: 0,
    vm: 'vm-a',
  },
  { what: 'the same, with a thread of another VM', path: '/log/vm-a.log', rights: OURS, id: 2001, vm: 'vm-a' },
  { what: 'a file of root that is named after no VM', path: '/log/any.log', rights: OURS, id: 2001, vm: 'any' },
  { what: "a file of a user, named after another user's VM", path: '/x/vm-c.log', rights: OF_107, id: 0, vm: '' },
  { what: 'the same, with its thread', path: '/x/vm-c.log', rights: OF_107, id: 3001, vm: '' },
  {
    what: 'a simple trace of a user, named after the process of a VM',
    path: '/x/trace-3000',
    rights: OF_107,
    id: 3000,
    vm: '',
  },
  {
    what: "hidden descriptors: the threads of the user's VMs",
    path: '/x/any.log',
    rights: OF_107,
    hidden: ['vm-a', 'vm-b', 'vm-c'],
    id: 2001,
    vm: 'vm-b',
    isVcpu: true,
  },
  {
    what: "hidden descriptors: the name of one of the user's VMs",
    path: '/x/vm-a.log',
    rights: OF_107,
    hidden: ['vm-a', 'vm-b'],
    id: 2001,
    vm: 'vm-a',
  },
  {
    what: "hidden descriptors: not another user's VM",
    path: '/x/any.log',
    rights: OF_107,
    hidden: ['vm-c', 'vm-d'],
    id: 3001,
    vm: '',
  },
];

for (const { what, path, rights, openers = [], hidden = [], id, vm, isVcpu = false } of LIVE)
  test(`live: ${what}`, (t) => {
    const { inventory } = host(t);
    const vms = (names: readonly string[]) => inventory.vms().filter(({ name }) => names.includes(name));
    const owner = new QemuFileOwner(inventory, path, 'log', rights);
    owner.labelOf(id);
    owner.setOpeners(vms(openers), vms(hidden));
    assert.deepEqual([owner.labelOf(id), owner.isVcpu(id)], [vm, isVcpu]);
  });

test('live: a VM that has ended owns its threads in a file of root that no VM has open, not in that of a user', (t) => {
  const { proc, inventory } = host(t);
  proc.remove(2000);
  inventory.scan(1);
  const labels = [OURS, OF_107].map((rights) => {
    const owner = new QemuFileOwner(inventory, '/x/any.log', 'log', rights);
    owner.setOpeners([], []);
    for (const id of [2001, 4001]) owner.labelOf(id);
    owner.settle();
    return [2001, 4001].map((id) => owner.labelOf(id));
  });
  assert.deepEqual(labels, [
    ['vm-b', 'vm-b'],
    ['', ''],
  ]);
});

test('live: counts are withheld until the openers were searched', (t) => {
  const { inventory } = host(t);
  const owner = new QemuFileOwner(inventory, '/x/any.log', 'log', OF_107);
  assert.deepEqual([owner.labelOf(2001), owner.needsOpeners], [undefined, true]);
  owner.setOpeners(
    inventory.vms().filter(({ name }) => name === 'vm-b'),
    [],
  );
  assert.deepEqual([owner.labelOf(2001), owner.needsOpeners], ['vm-b', false]);
  // A thread that the opener does not have: another process may have opened the file since.
  assert.deepEqual([owner.labelOf(4001), owner.needsOpeners], [undefined, true]);
  owner.settle();
  assert.equal(owner.labelOf(4001), 'vm-b');
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
