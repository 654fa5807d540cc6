/** Any process may make any number of sockets: each VM's table of them is that of all processes near it. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findSocketServers } from '../../../src/vm/host/open-files.js';
import { ProcTree } from '../../support/agent/proc-tree.js';
import { keepAlive, useCpuClock } from '../../support/cpu-ms.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

// A search is divided into slices on a busy machine.
keepAlive();

/** A line of /proc/net/unix (unix_seq_show, net/unix/af_unix.c). */
const socket = (inode: number, path: string, flags = '00010000') =>
  `0000000000000000: 00000002 00000000 ${flags} 0001 01 ${inode} ${path}\n`;

function setUp(t: TestContext): { tree: ProcTree; path: string; putTable: (pid: number, table: string) => void } {
  const tree = new ProcTree(t);
  const path = join(temporaryFolder(t, 'sockets'), 'vm.qmp');
  writeFileSync(path, '');
  const putTable = (pid: number, table: string) => {
    mkdirSync(join(tree.root, String(pid), 'net'));
    writeFileSync(join(tree.root, String(pid), 'net/unix'), table);
    symlinkSync('/', join(tree.root, String(pid), 'root'));
  };
  return { tree, path, putTable };
}

test('the socket of a VM is found among any number of sockets, and the search lets other work run', async (t) => {
  const { tree, path, putTable } = setUp(t);
  const foreign = Array.from({ length: 130_000 }, (_, index) => socket(index, `@/x/${index % 2 ? 'vm.qmp' : index}`));
  const pids = [100, 200, 300, 400];
  for (const pid of pids) {
    tree.put({ pid, descriptors: ['/x', `socket:[${900_000 + pid}]`] });
    // Its own comes last.
    putTable(pid, `Num RefCount Protocol\n${foreign.join('')}${socket(900_000 + pid, path)}`);
  }
  useCpuClock(t);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const { byPath, busyMs } = await findSocketServers(tree.root, pids, [path]);
  clearInterval(timer);
  assert.deepEqual(byPath, new Map([[path, pids]]));
  assert.ok(turns >= Math.floor(busyMs / 50), `${turns} turns in ${busyMs} ms of work`);
});

test('the table of a network namespace is read once', async (t) => {
  const { tree, path, putTable } = setUp(t);
  for (const pid of [100, 200]) {
    tree.put({ pid, descriptors: [`socket:[${pid}]`] });
    mkdirSync(join(tree.root, String(pid), 'ns'));
    symlinkSync('net:[4026531840]', join(tree.root, String(pid), 'ns/net'));
  }
  putTable(100, socket(100, path) + socket(200, path));
  putTable(200, '');
  assert.deepEqual((await findSocketServers(tree.root, [100, 200], [path])).byPath, new Map([[path, [100, 200]]]));
});

test('sockets that do not listen, and lines that no kernel writes, are left out', async (t) => {
  const { tree, path, putTable } = setUp(t);
  tree.put({ pid: 100, descriptors: ['socket:[1]', 'socket:[2]', 'socket:[3]'] });
  putTable(100, `${socket(1, path, '00000000')}${'x'.repeat(300_000)}\n00010000\n${socket(3, `${path}x`)}`);
  assert.deepEqual((await findSocketServers(tree.root, [100], [path])).byPath, new Map());
});
