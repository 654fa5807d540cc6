import type { Ledger } from '../count/ledger.js';
import { log } from '../system/log.js';
import { SeldomLog } from '../system/seldom-log.js';
import type { Inventory, InventoryChanges } from '../vm/inventory.js';
import type { Vm } from '../vm/tables/vm.js';

export interface VmListener {
  onStarted(vm: Vm): void;
  /** The VM's grace period is over, or a VM with its label has started. */
  onForgotten(vm: Vm): void;
}

/**
 * Keeps the inventory (what runs on this host) and the ledger (what was counted) in step.
 *
 * One constraint sets the order of the calls below: the ledger records a thread's owner before the inventory drops the
 * thread, and gives up the thread before it forgets the VM. The reason is that the ledger moves the counts of a dropped
 * thread to the owner recorded for it. Without one they stay unattributed for ever; with one that was forgotten already
 * they would come back under the old VM's label.
 */
export class VmTracker {
  readonly #inventory: Inventory;
  readonly #ledger: Ledger;
  readonly #listener: VmListener;
  readonly #seldom = new SeldomLog();

  constructor(inventory: Inventory, ledger: Ledger, listener: VmListener) {
    this.#inventory = inventory;
    this.#ledger = ledger;
    this.#listener = listener;
  }

  /** Checks processes that have just been started, or only expected VMs. Cheap enough for every tick. */
  checkNewProcesses(nowMs: number, onlyExpected: boolean): void {
    this.#apply(this.#inventory.checkNewProcesses(nowMs, onlyExpected));
  }

  /** Finds the owners of threads that have just raised their first event. Call it at once: they may be short-lived. */
  resolve(newThreads: readonly number[], nowMs: number): void {
    this.#lookUp(newThreads, nowMs);
    if (newThreads.length > 0 || this.#ledger.isWithholding) this.#ledger.resolveOwners(nowMs);
  }

  /**
   * Checks the whole host. Owners that it finds are recorded by the next `resolveOwners`.
   * @param countedToMs time until which all events are counted; undefined if no trace is read
   */
  scan(nowMs: number, countedToMs: number | undefined): void {
    const unknown = this.#ledger.resolveOwners(nowMs);
    this.#apply(this.#inventory.scan(nowMs, countedToMs));
    this.#lookUp(unknown, nowMs);
    for (const { pid, comm } of this.#inventory.takeImpostors())
      this.#seldom.warn('impostor', 'a process that looks like a VMM is ignored until it runs a VM in KVM', {
        pid,
        comm,
      });
  }

  /** Looks up threads that ran a vCPU, and some of those that earlier calls left for later. */
  #lookUp(tids: readonly number[], nowMs: number): void {
    for (const tid of tids) this.#inventory.requestLookup(tid, true, this.#ledger.lastEventMs(tid));
    this.#apply(this.#inventory.resolvePending(nowMs));
  }

  #apply({ started, stopped, forgotten, freedTids }: InventoryChanges): void {
    for (const tid of freedTids) this.#ledger.endThread(tid);
    for (const vm of forgotten) {
      this.#ledger.forget(vm);
      this.#listener.onForgotten(vm);
    }
    for (const vm of stopped) log('info', 'VM stopped', { vm: vm.label, pid: vm.pid });
    for (const vm of started) {
      log('info', 'VM started', { vm: vm.label, pid: vm.pid, vmm: vm.vmm, uuid: vm.uuid });
      this.#listener.onStarted(vm);
    }
  }
}
