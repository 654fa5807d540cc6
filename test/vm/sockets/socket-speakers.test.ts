/** Which VM a control socket speaks for, as VMs and their sockets come and go. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Inventory } from '../../../src/vm/inventory.js';
import { SocketSpeakers } from '../../../src/vm/sockets/socket-speakers.js';
import { setUp as setUpInventory, vm } from '../../support/agent/inventory-tree.js';
import type { ProcTree } from '../../support/agent/proc-tree.js';
import { collectGarbage } from '../../support/collect-garbage.js';
import { keepAlive } from '../../support/cpu-ms.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

// A search is divided into slices on a busy machine.
keepAlive();

/** The processes are searched again for such a socket after a second and a half. */
const WITHIN_MS = 2000;
const GRACE_MS = 1000;

interface Host {
  readonly tree: ProcTree;
  readonly inventory: Inventory;
  readonly speakers: SocketSpeakers;
  /** Makes the file of a socket. Returns its path. */
  addSocket(name: string): string;
  /** Starts a VM that serves a socket. */
  startVm(pid: number, name: string, socket: string): void;
}

function setUp(t: TestContext): Host {
  const { tree, inventory } = setUpInventory(t, GRACE_MS);
  const folder = temporaryFolder(t, 'sockets');
  return {
    tree,
    inventory,
    speakers: new SocketSpeakers(inventory, tree.root),
    addSocket(name) {
      const path = join(folder, name);
      writeFileSync(path, '');
      return path;
    },
    startVm(pid, name, socket) {
      tree.put(vm(pid, name, { descriptors: [`socket:[${pid}]`] }));
      const process = join(tree.root, String(pid));
      mkdirSync(join(process, 'net'));
      // A line of /proc/net/unix (unix_seq_show, net/unix/af_unix.c).
      writeFileSync(
        join(process, 'net/unix'),
        `0000000000000000: 00000002 00000000 00010000 0001 01 ${pid} ${socket}\n`,
      );
      symlinkSync('/', join(process, 'root'));
    },
  };
}

test('a socket older than its VM is found in time, although new sockets appear all the time', async (t) => {
  const { inventory, speakers, addSocket, startVm } = setUp(t);
  const socket = addSocket('vm.qmp');
  await speakers.search([socket]);
  assert.equal(speakers.isServed(socket), false);
  startVm(100, 'web', socket);
  inventory.scan(0);
  const startMs = performance.now();
  const newer: string[] = [];
  while (performance.now() - startMs < WITHIN_MS && !speakers.isServed(socket)) {
    newer.push(addSocket(`newer-${newer.length}.qmp`));
    await speakers.search([socket, ...newer]);
    await sleep(100);
  }
  assert.equal(speakers.vmOf(socket, { name: 'web', uuid: '' })?.pid, 100);
});

test('a VM that has ended, and its socket, take no memory', async (t) => {
  const { tree, inventory, speakers, addSocket, startVm } = setUp(t);
  const socket = addSocket('vm.qmp');
  startVm(100, 'web', socket);
  inventory.scan(0);
  await speakers.search([socket]);
  assert.equal(speakers.isServed(socket), true);
  const ended = new WeakRef(inventory.vms()[0] ?? assert.fail('no VM'));
  tree.remove(100);
  rmSync(socket);
  for (const nowMs of [1, 1 + GRACE_MS, 1 + 10 * GRACE_MS]) inventory.scan(nowMs);
  await speakers.search([addSocket('next.qmp')]);
  // A weak reference lasts until the end of the task that made it.
  await sleep(0);
  collectGarbage();
  assert.equal(ended.deref(), undefined);
});
