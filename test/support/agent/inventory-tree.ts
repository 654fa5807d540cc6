/** Shared by the tests of the inventory. */
import type { TestContext } from 'node:test';
import type { InventoryChanges } from '../../../src/vm/inventory.js';
import { Inventory } from '../../../src/vm/inventory.js';
import { type FakeProcess, ProcTree } from './proc-tree.js';

/** A process of QEMU with one vCPU thread. */
export function vm(pid: number, name: string, more: Partial<FakeProcess> = {}): FakeProcess {
  const startTime = more.startTime ?? pid;
  const threads = [{ tid: pid + 1, comm: 'CPU 0/KVM', startTime: startTime + 1 }];
  const args = ['/usr/bin/qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`];
  return { pid, comm: 'qemu-system-x86', startTime, args, threads, ...more };
}

export function setUp(t: TestContext, graceMs = 60_000): { tree: ProcTree; inventory: Inventory } {
  const tree = new ProcTree(t);
  return { tree, inventory: new Inventory({ procfs: tree.root, live: true, graceMs }) };
}

/** Changes, with labels instead of VMs. */
export interface ChangedLabels {
  readonly started: readonly string[];
  readonly stopped: readonly string[];
  readonly forgotten: readonly string[];
  readonly freedTids: readonly number[];
}

export function labels({ started, stopped, forgotten, freedTids }: InventoryChanges): ChangedLabels {
  const of = (vms: InventoryChanges['started']): string[] => vms.map(({ label }) => label);
  return { started: of(started), stopped: of(stopped), forgotten: of(forgotten), freedTids: [...freedTids].sort() };
}

export const NOTHING: ChangedLabels = { started: [], stopped: [], forgotten: [], freedTids: [] };
