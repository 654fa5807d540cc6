import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmWatcher } from '../../../src/vm/host/vm-watcher.js';

/** A folder like KVM's in debugfs, a watcher of it, and the processes that the watcher reports. */
function watched(t: TestContext) {
  const folder = join(mkdtempSync(join(tmpdir(), 'watcher-')), 'kvm');
  const pids: number[] = [];
  const watcher = new VmWatcher(folder, (pid) => pids.push(pid));
  t.after(() => {
    watcher.close();
    rmSync(join(folder, '..'), { recursive: true });
  });
  const reported = async (pid: number) => {
    for (let waits = 0; !pids.includes(pid); waits++) {
      assert.ok(waits < 200, `${pid} was not reported, only ${pids}`);
      await sleep(10);
    }
  };
  return { folder, watcher, pids, reported };
}

test('a VM is reported when KVM creates its folder; other folders are not', async (t) => {
  const { folder, watcher, pids, reported } = watched(t);
  mkdirSync(folder);
  watcher.renew();
  assert.ok(watcher.isWatching);
  mkdirSync(join(folder, 'exits'));
  mkdirSync(join(folder, '187-11'));
  await reported(187);
  mkdirSync(join(folder, '188-9'));
  await reported(188);
  assert.deepEqual(new Set(pids), new Set([187, 188]));
});

test('renew starts watching a folder that was created, or created again, since the last call', async (t) => {
  const { folder, watcher, reported } = watched(t);
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
  await reported(300);
});

test('a closed watcher reports nothing', async (t) => {
  const { folder, watcher, pids } = watched(t);
  mkdirSync(folder);
  watcher.renew();
  watcher.close();
  mkdirSync(join(folder, '400-8'));
  await sleep(100);
  assert.deepEqual([watcher.isWatching, pids], [false, []]);
});
