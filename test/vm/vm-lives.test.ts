/** Labels and series of a VM that is restarted, renamed or migrated, and of VMs that share a name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labels, NOTHING, setUp, vm } from '../support/agent/inventory-tree.js';
import type { FakeProcess } from '../support/agent/proc-tree.js';

const UUID = '0e44be5a-ff12-52fb-9413-07b52f3593c3';

/** A process of QEMU with a uuid. */
function withUuid(pid: number, name: string, more: Partial<FakeProcess> = {}): FakeProcess {
  return vm(pid, name, { args: ['qemu-system-x86_64', '-name', name, '-uuid', UUID], ...more });
}

test('a VM that is restarted continues its series, and keeps them as long as it comes back within the grace period', (t) => {
  const { tree, inventory } = setUp(t);
  const series: (number | undefined)[] = [];
  let nowMs = 0;
  for (let pid = 100; pid <= 400; pid += 100) {
    tree.put(vm(pid, 'web'));
    inventory.scan(nowMs);
    const life = inventory.find(pid + 1)?.vm;
    assert.ok(life !== undefined);
    inventory.claimLabel(life);
    assert.equal(life.label, 'web');
    series.push(life.series);
    tree.remove(pid);
    const { forgotten } = inventory.scan(nowMs + 1000);
    assert.deepEqual(forgotten, []);
    nowMs += 59_000;
  }
  assert.equal(new Set(series).size, 1, `${series}`);
  assert.equal(inventory.vms().length, 1, 'earlier lives are not kept');
  assert.deepEqual(labels(inventory.scan(nowMs + 60_000)).forgotten, ['web']);
  tree.put(vm(500, 'web'));
  inventory.scan(nowMs + 61_000);
  const late = inventory.find(501)?.vm;
  assert.ok(late !== undefined);
  inventory.claimLabel(late);
  assert.notEqual(late.series, series[0], 'its series were dropped');
});

test('events of an earlier life that are read after the restart belong to the same series', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  tree.remove(100);
  tree.put(vm(200, 'web'));
  inventory.scan(1000);
  for (const tid of [201, 101]) {
    const life = inventory.find(tid)?.vm;
    assert.ok(life !== undefined);
    inventory.claimLabel(life);
  }
  const [first, second] = [inventory.find(101)?.vm, inventory.find(201)?.vm];
  assert.deepEqual([first?.label, second?.label], ['web', 'web']);
  assert.equal(first?.series, second?.series);
});

test('of two VMs with one name, the one that raises the first event has it', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  tree.put(vm(200, 'web'));
  inventory.scan(0);
  const [idle, busy] = [inventory.find(101)?.vm, inventory.find(201)?.vm];
  assert.ok(idle !== undefined && busy !== undefined);
  assert.deepEqual([idle.label, busy.label], ['web', 'web (200)']);
  inventory.claimLabel(busy);
  assert.deepEqual([idle.label, busy.label], ['web (100)', 'web']);
  inventory.claimLabel(idle);
  assert.deepEqual([idle.label, busy.label], ['web (100)', 'web']);
  assert.notEqual(idle.series, busy.series);
});

test('a VM that starts while its earlier life ends has its name once it runs', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(vm(100, 'web'));
  inventory.scan(0);
  const first = inventory.find(101)?.vm;
  assert.ok(first !== undefined);
  inventory.claimLabel(first);
  tree.put(vm(200, 'web'));
  inventory.scan(1);
  const second = inventory.find(201)?.vm;
  assert.ok(second !== undefined);
  assert.equal(second.label, 'web (200)', 'both processes exist');
  tree.remove(100);
  inventory.claimLabel(second);
  assert.deepEqual([second.label, second.series], ['web', first.series]);
  assert.deepEqual(labels(inventory.resolvePending(2)), { ...NOTHING, stopped: ['web'] });
});

test('the two processes of a VM that migrates within a host are one VM', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(withUuid(100, 'web'));
  tree.put(withUuid(200, 'web'));
  tree.put(withUuid(300, 'web', { uid: 1001 }));
  tree.put(withUuid(400, 'db'));
  inventory.scan(0);
  const all = [101, 201, 301, 401].map((tid) => inventory.find(tid)?.vm);
  for (const one of all) if (one !== undefined) inventory.claimLabel(one);
  assert.deepEqual(
    all.map((one) => one?.label),
    ['web', 'web', 'web (300)', 'db'],
    'a process of another user, or with another name, is another VM',
  );
  assert.equal(all[0]?.series, all[1]?.series);
  tree.remove(100);
  assert.deepEqual(labels(inventory.scan(1)).stopped, ['web']);
  assert.deepEqual(labels(inventory.scan(100_000)).forgotten, [], 'the series are in use');
});

test('a VM that is started under another name has other series, and its old ones end after the grace period', (t) => {
  const { tree, inventory } = setUp(t);
  tree.put(withUuid(100, 'web'));
  inventory.scan(0);
  tree.remove(100);
  tree.put(withUuid(200, 'shop'));
  inventory.scan(1000);
  for (const tid of [101, 201]) {
    const life = inventory.find(tid)?.vm;
    assert.ok(life !== undefined);
    inventory.claimLabel(life);
  }
  assert.deepEqual(labels(inventory.scan(61_000)).forgotten, ['web']);
  assert.deepEqual(
    inventory.vms().map(({ label }) => label),
    ['shop'],
  );
});

test('the start of a VM is its start time after the start of the host', (t) => {
  const { tree, inventory } = setUp(t);
  tree.write('stat', 'cpu  1 2 3\nbtime 1700000000\nprocesses 5\n');
  tree.put(vm(100, 'web', { startTime: 12_345 }));
  inventory.scan(0);
  assert.equal(inventory.find(100)?.vm.startSeconds, 1_700_000_123.45);
});
