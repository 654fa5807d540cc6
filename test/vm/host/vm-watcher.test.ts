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
  const watcher = new VmWatcher(folder, (tids) => pids.push(...tids));
  t.after(() => {
    watcher.close();
    rmSync(join(folder, '..'), { recursive: true });
  });
  const reported = async (pid: number) => {
    for (let waits = 0; !pids.includes(pid); waits++) {
      assert.ok(waits < 3000, `${pid} was not reported, only ${pids}`);
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

test('VMs without end do not keep the event loop from other work', async (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), 'watcher-')), 'kvm');
  mkdirSync(folder);
  let turns = 0;
  let reports = 0;
  // Each report takes longer than the next VM does to start, as on a host where VMs come faster than they are found.
  const watcher = new VmWatcher(folder, () => {
    reports++;
    if (reports < 100) mkdirSync(join(folder, `${reports}-8`));
  });
  t.after(() => {
    watcher.close();
    rmSync(join(folder, '..'), { recursive: true });
  });
  watcher.renew();
  mkdirSync(join(folder, '1000-8'));
  const count = () => {
    turns++;
    if (reports < 100) setImmediate(count);
  };
  while (reports === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  count();
  for (let waits = 0; reports < 100; waits++) {
    assert.ok(waits < 6000, `only ${reports} reports`);
    await sleep(10);
  }
  assert.ok(turns > 10, `${turns} turns of the event loop during ${reports} reports`);
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
