import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surplusOf } from '../../../src/vm/tables/surplus-vms.js';
import { newVm, type Vm } from '../../../src/vm/tables/vm.js';
import { VmTable } from '../../../src/vm/tables/vm-table.js';

function vms(uids: readonly number[]) {
  return uids.map((uid, index) =>
    newVm(
      { pid: index + 1, startTime: index, startSeconds: Number.NaN, uid },
      { name: `vm-${index}`, uuid: '', vmm: 'qemu', sandbox: '' } as Parameters<typeof newVm>[1],
      {} as Parameters<typeof newVm>[2],
    ),
  );
}

const pidsOf = (found: readonly Vm[]) => found.map(({ pid }) => pid);

test('the users that have most give up those that stopped first', () => {
  assert.deepEqual(pidsOf(surplusOf(vms([0, 107, 107, 107, 0, 107]), 4)), [2, 3]);
  assert.deepEqual(pidsOf(surplusOf(vms([1, 1, 2, 2, 3, 3]), 3)), [1, 3, 5]);
  assert.deepEqual(pidsOf(surplusOf(vms([7, 7, 7, 7]), 3)), [1]);
  assert.deepEqual(pidsOf(surplusOf(vms([1, 2, 3, 4, 4]), 4)), [4]);
  assert.deepEqual(surplusOf(vms([1, 2, 3]), 3), []);
  assert.deepEqual(surplusOf([], 3), []);
});

test('with more users than places, no user keeps a VM', () => {
  assert.deepEqual(pidsOf(surplusOf(vms([1, 2, 3]), 2)), [1, 2, 3]);
});

test('VMs without end are forgotten before their grace period is over, and not those of another user', () => {
  const table = new VmTable();
  const [first, ...rest] = vms([0, ...Array.from({ length: 3000 }, () => 1000)]);
  assert.ok(first !== undefined);
  table.start([first, ...rest], 0);
  table.stop(first, 0);
  for (const vm of rest) table.stop(vm, 1000);
  table.forgetStopped(1001, 300_000, 10_000);
  assert.equal(table.all().length, 3001, 'the last events of all of them may still come');
  table.forgetStopped(11_000, 300_000, 10_000);
  assert.equal(table.all().length, 256);
  assert.ok(table.all().includes(first));
  table.forgetStopped(300_000, 300_000, 10_000);
  assert.ok(!table.all().includes(first), 'its grace period is over');
});
