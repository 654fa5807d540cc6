import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmWatcher } from '../../../src/vm/host/vm-watcher.js';

/** A folder such as KVM's in debugfs, and who is told of what is made in it. */
function watched(t: TestContext) {
  const folder = join(mkdtempSync(join(tmpdir(), 'watcher-')), 'kvm');
  const pids: number[] = [];
  const watcher = new VmWatcher(folder, (pid) => pids.push(pid));
  t.after(() => {
    watcher.close();
    rmSync(join(folder, '..'), { recursive: true });
  });
  const told = async (pid: number) => {
    for (let waits = 0; !pids.includes(pid); waits++) {
      assert.ok(waits < 200, `${pid} is not told: ${pids}`);
      await sleep(10);
    }
  };
  return { folder, watcher, pids, told };
}

test('a VM is told when KVM makes its folder; other files are not', async (t) => {
  const { folder, watcher, pids, told } = watched(t);
  mkdirSync(folder);
  watcher.renew();
  assert.ok(watcher.isWatching);
  mkdirSync(join(folder, 'exits'));
  mkdirSync(join(folder, '187-11'));
  await told(187);
  mkdirSync(join(folder, '188-9'));
  await told(188);
  assert.deepEqual(new Set(pids), new Set([187, 188]));
});

test('a folder that is not there is watched once it is; a new one in its place too', async (t) => {
  const { folder, watcher, told } = watched(t);
  watcher.renew();
  assert.ok(!watcher.isWatching);
  mkdirSync(folder);
  watcher.renew();
  assert.ok(watcher.isWatching);
  rmdirSync(folder);
  watcher.renew();
  assert.ok(!watcher.isWatching);
  mkdirSync(folder);
  watcher.renew();
  mkdirSync(join(folder, '300-8'));
  await told(300);
});

test('nothing is told any more once it is closed', async (t) => {
  const { folder, watcher, pids } = watched(t);
  mkdirSync(folder);
  watcher.renew();
  watcher.close();
  mkdirSync(join(folder, '400-8'));
  await sleep(100);
  assert.deepEqual([watcher.isWatching, pids], [false, []]);
});
