import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findOpeners } from '../../../src/vm/host/open-files.js';
import { ProcTree } from '../../support/agent/proc-tree.js';
import { keepAlive, useCpuClock } from '../../support/cpu-ms.js';

// A search is divided into slices on a busy machine.
keepAlive();

test('findOpeners finds the process that has a file open, also after a rename, and skips processes that ended', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'open-files-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'vm.log');
  const other = join(folder, 'closed.log');
  writeFileSync(other, '');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  const id = (file: string) => {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  };
  const files = new Map([
    [id(path), path],
    [id(other), other],
  ]);
  const openersOf = async (pids: readonly number[], which: ReadonlyMap<string, string>) =>
    (await findOpeners('/proc', pids, which)).byFile;
  // No process has the id 999999999.
  assert.deepEqual(await openersOf([999_999_999, process.pid], files), new Map([[id(path), [process.pid]]]));
  assert.deepEqual(await openersOf([process.pid], new Map([[id(other), other]])), new Map());
  const reader = openSync(other, 'r');
  t.after(() => closeSync(reader));
  assert.deepEqual(await openersOf([process.pid], new Map([[id(other), other]])), new Map(), 'it only reads');
  const renamed = join(folder, 'vm.log.1');
  renameSync(path, renamed);
  assert.deepEqual((await openersOf([process.pid], new Map([[id(renamed), renamed]]))).size, 1);
});

test('a search lets other work run between its slices', async (t) => {
  const proc = new ProcTree(t);
  const pids = Array.from({ length: 40 }, (_, index) => index + 1);
  const descriptors = Array.from({ length: 500 }, (_, index) => `/x/${index}`);
  for (const pid of pids) proc.put({ pid, descriptors });
  useCpuClock(t);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  t.after(() => clearInterval(timer));
  // A fast machine looks at the processes several times, so that there is work to divide.
  for (let [times, busyMs] = [1, 0]; busyMs <= 50; times *= 2) {
    turns = 0;
    const looked = Array.from({ length: times }, () => pids).flat();
    ({ busyMs } = await findOpeners(proc.root, looked, new Map([['1:1', '/x/y/1']])));
    assert.ok(turns >= Math.floor(busyMs / 50), `${turns} turns in ${busyMs} ms of work`);
  }
});
