import type { Attribution } from '../count/thread-owners.js';
import type { DeviceRanges } from '../trace/sink.js';
import { vcpuOfComm } from '../vm/identify/comm.js';
import type { Inventory } from '../vm/inventory.js';

export interface AttributionOptions {
  /** Names of threads as a recording gives them: of one whose VM nobody knows, the name may still tell the vCPU. */
  readonly comms?: ReadonlyMap<number, string>;
  /** By label of the VM. */
  readonly devicesOf?: (vm: string) => DeviceRanges | undefined;
}

/** The inventory as the ledger asks for it. */
export function attributionOf(
  inventory: Inventory,
  { comms, devicesOf = () => undefined }: AttributionOptions = {},
): Attribution {
  return {
    devicesOf,
    ownerOf(tid) {
      const thread = inventory.find(tid);
      const vcpu = thread?.vcpu ?? vcpuOfComm(comms?.get(tid) ?? '');
      return { vm: thread?.vm, vcpu: vcpu < 0 ? '' : String(vcpu) };
    },
  };
}
