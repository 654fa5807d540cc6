import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmBirths } from '../../../src/vm/host/vm-births.js';

/** A folder such as KVM's in debugfs, and who is told of what is made in it. */
function watched(t: TestContext) {
  const folder = join(mkdtempSync(join(tmpdir(), 'births-')), 'kvm');
  const pids: number[] = [];
  const births = new VmBirths(folder, (pid) => pids.push(pid));
  t.after(() => {
    births.close();
    rmSync(join(folder, '..'), { recursive: true });
  });
  const told = async (pid: number) => {
    for (let waits = 0; !pids.includes(pid); waits++) {
      assert.ok(waits < 200, `${pid} is not told: ${pids}`);
      await sleep(10);
    }
  };
  return { folder, births, pids, told };
}

test('a VM is told when KVM makes its folder; other files are not', async (t) => {
  const { folder, births, pids, told } = watched(t);
  mkdirSync(folder);
  births.renew();
  assert.ok(births.told);
  mkdirSync(join(folder, 'exits'));
  mkdirSync(join(folder, '187-11'));
  await told(187);
  mkdirSync(join(folder, '188-9'));
  await told(188);
  assert.deepEqual(new Set(pids), new Set([187, 188]));
});

test('a folder that is not there is watched once it is; a new one in its place too', async (t) => {
  const { folder, births, told } = watched(t);
  births.renew();
  assert.ok(!births.told);
  mkdirSync(folder);
  births.renew();
  assert.ok(births.told);
  rmdirSync(folder);
  births.renew();
  assert.ok(!births.told);
  mkdirSync(folder);
  births.renew();
  mkdirSync(join(folder, '300-8'));
  await told(300);
});

test('nothing is told any more once it is closed', async (t) => {
  const { folder, births, pids } = watched(t);
  mkdirSync(folder);
  births.renew();
  births.close();
  mkdirSync(join(folder, '400-8'));
  await sleep(100);
  assert.deepEqual([births.told, pids], [false, []]);
});
