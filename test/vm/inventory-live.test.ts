/**
 * The inventory of this machine's own /proc. The VMMs are Node processes with the program name of a VMM, and a folder
 * in the place of KVM's debugfs says that they have VMs.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Inventory, type InventoryChanges } from '../../src/vm/inventory.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Prints `up`, then starts a worker thread for each line that it reads. */
const SCRIPT = `
  const { Worker } = require('node:worker_threads');
  const startWorker = () => new Worker('setInterval(()=>{},1e9)', { eval: true });
  process.stdin.on('data', () => startWorker().on('online', () => console.log('worker')));
  console.log('up');`;

/** An inventory of this host, and the folder in the place of KVM's debugfs. */
function hostInventory(t: TestContext): { readonly inventory: Inventory; readonly debugfs: string } {
  const debugfs = temporaryFolder(t, 'kvm');
  return { inventory: new Inventory({ procfs: '/proc', live: true, debugfs }), debugfs };
}

/** Makes the folder that KVM makes when a process creates a VM. */
const createVm = (debugfs: string, { pid }: ChildProcess) => mkdirSync(join(debugfs, `${pid}-11`));

async function start(t: TestContext, argv0: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', SCRIPT, '--', ...args], { argv0, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout !== null);
  await once(child.stdout, 'data');
  return child;
}

/** The inventory looks at the newest 32 processes that start at once; the rest waits for a scan. */
const MAX_TRIES = 10;

/**
 * Starts a VMM until one is found as a new process, which fails where other programs start many at that moment.
 * @param check looks for new processes
 */
async function startFound(
  t: TestContext,
  debugfs: string,
  name: string,
  check: () => InventoryChanges,
): Promise<ChildProcess> {
  for (let tries = 1; ; tries++) {
    const child = await start(t, '/usr/bin/qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`);
    createVm(debugfs, child);
    // Other VMs may start at the same time.
    const own = check().started.filter(({ pid }) => pid === child.pid);
    if (own.length === 0 && tries < MAX_TRIES) continue;
    assert.deepEqual(
      own.map(({ label }) => label),
      [name],
    );
    return child;
  }
}

const tasks = (pid: number): number[] => readdirSync(`/proc/${pid}/task`).map(Number);

test('a scan finds a VMM of this machine, its new threads and its end', async (t) => {
  const { inventory, debugfs } = hostInventory(t);
  inventory.scan(0);
  const name = `live-${process.pid}`;
  const child = await start(t, '/usr/bin/qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`);
  createVm(debugfs, child);
  const pid = child.pid ?? 0;
  assert.ok(inventory.scan(1).started.some(({ label }) => label === name));
  for (const tid of tasks(pid)) assert.equal(inventory.find(tid)?.vm.pid, pid);

  const before = tasks(pid);
  child.stdin?.write('more\n');
  assert.ok(child.stdout !== null);
  await once(child.stdout, 'data');
  const fresh = tasks(pid).filter((tid) => !before.includes(tid));
  assert.ok(fresh.length > 0);
  inventory.scan(2);
  for (const tid of fresh) assert.equal(inventory.find(tid)?.vm.label, name);

  child.kill('SIGKILL');
  await once(child, 'exit');
  const { stopped } = inventory.scan(3);
  assert.ok(stopped.some(({ label }) => label === name));
  assert.ok(inventory.scan(400_000).forgotten.some(({ label }) => label === name));
  assert.equal(inventory.find(pid), undefined);
});

test('a VMM that has just been started is found without a scan', async (t) => {
  const { inventory, debugfs } = hostInventory(t);
  inventory.scan(0);
  inventory.checkNewProcesses(0);
  const name = `fresh-${process.pid}`;
  const child = await startFound(t, debugfs, name, () => inventory.checkNewProcesses(1));
  const pid = child.pid ?? 0;
  for (const tid of tasks(pid)) assert.equal(inventory.find(tid)?.vm.pid, pid);
  child.stdin?.write('more\n');
  assert.ok(child.stdout !== null);
  await once(child.stdout, 'data');
  inventory.checkNewProcesses(2);
  for (const tid of tasks(pid)) assert.equal(inventory.find(tid)?.vm.pid, pid);
});

test('a process that is expected to become a VM is checked until it is one', async (t) => {
  const { inventory, debugfs } = hostInventory(t);
  inventory.scan(0);
  const child = await start(t, '/usr/bin/qemu-system-x86_64', '-name', `guest=expected-${process.pid}`);
  createVm(debugfs, child);
  const pid = child.pid ?? 0;
  assert.deepEqual(inventory.checkNewProcesses(1).started, []);
  inventory.expectVm(pid, 2);
  assert.deepEqual(
    inventory.checkNewProcesses(3).started.map(({ label }) => label),
    [`expected-${process.pid}`],
  );
});

test('idleMs is the time since the last process was started', async (t) => {
  const inventory = new Inventory({ procfs: '/proc', live: true });
  inventory.checkNewProcesses(0);
  await start(t, 'anything');
  inventory.checkNewProcesses(5000);
  assert.equal(inventory.idleMs(5100), 100);
});

test('a VMM that is started among many other processes is found without a scan', async (t) => {
  const { inventory, debugfs } = hostInventory(t);
  inventory.scan(0);
  inventory.checkNewProcesses(0);
  for (let n = 0; n < 50; n++) await once(spawn('/bin/true', { stdio: 'ignore' }), 'exit');
  const name = `amid-${process.pid}`;
  const child = await startFound(t, debugfs, name, () => inventory.checkNewProcesses(1));
  assert.equal(inventory.find(child.pid ?? 0)?.vm.label, name);
});

test('a thread of an unknown program that runs a vCPU is found by its thread id', async (t) => {
  const inventory = new Inventory({ procfs: '/proc', live: true });
  const child = await start(t, 'my-vmm');
  const pid = child.pid ?? 0;
  const tid = tasks(pid).find((id) => id !== pid) ?? 0;
  inventory.requestLookup(tid, false);
  assert.deepEqual(inventory.resolvePending(0).started, []);
  inventory.requestLookup(tid, true);
  assert.deepEqual(
    inventory.resolvePending(1).started.map(({ label }) => label),
    [String(pid)],
  );
  assert.equal(inventory.find(tid)?.vm.pid, pid);
  assert.equal(inventory.find(pid)?.tid, pid);
});

test('a scan works while processes start and end', async () => {
  const inventory = new Inventory({ procfs: '/proc', live: true });
  const children = Array.from({ length: 30 }, () => spawn('/bin/true', { stdio: 'ignore' }));
  const ends = children.map((child) => once(child, 'exit'));
  for (let scan = 0; scan < 40; scan++) {
    inventory.scan(scan);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(ends);
  inventory.scan(100);
  for (const { pid } of children) assert.equal(inventory.find(pid ?? 0), undefined);
});
