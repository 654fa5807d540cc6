import type { Ledger } from '../count/ledger.js';
import type { Attribution, VmIdentity } from '../count/thread-owners.js';
import type { DeviceRanges } from '../trace/device-ranges.js';
import { vcpuOfComm } from '../vm/identify/comm.js';
import type { Inventory } from '../vm/inventory.js';
import type { VcpuThread } from '../vm/usage/usage-reader.js';

export interface AttributionOptions {
  /** Thread names in a recording, by thread id: they tell the vCPU of a thread even if its VM is not known. */
  readonly comms?: ReadonlyMap<number, string>;
  /** What stands for the VM of a thread whose VM is not known; undefined if nothing does. */
  readonly rowOf?: (tid: number) => VmIdentity | undefined;
  /** The devices of the VM with this label; undefined if it was not asked. */
  readonly devicesOf?: (vm: string) => DeviceRanges | undefined;
}

/** Answers the questions of the ledger from the inventory. */
export function attributionOf(
  inventory: Inventory,
  { comms, rowOf = () => undefined, devicesOf = () => undefined }: AttributionOptions = {},
): Attribution {
  return {
    devicesOf,
    scans: () => inventory.scans,
    ownerOf(tid, atMs) {
      const thread = inventory.find(tid, atMs);
      if (thread !== undefined) inventory.claimLabel(thread.vm);
      const vcpu = thread?.vcpu ?? vcpuOfComm(comms?.get(tid) ?? '');
      return { vm: thread?.vm ?? rowOf(tid), vcpu: vcpu < 0 ? '' : String(vcpu) };
    },
  };
}

/** Threads with the name of a vCPU thread, and those whose events name a vCPU. */
export function* vcpuThreadsOf(
  inventory: Inventory,
  ledger: Ledger,
): IterableIterator<VcpuThread & { readonly label: string }> {
  for (const { tid, vm } of inventory.vcpuThreads()) yield { tid, pid: vm.pid, label: vm.label };
  for (const { tid, vcpu } of ledger.vcpus()) {
    const thread = tid > 0 && vcpu >= 0 ? inventory.find(tid) : undefined;
    if (thread !== undefined) yield { tid, pid: thread.vm.pid, label: thread.vm.label };
  }
}
