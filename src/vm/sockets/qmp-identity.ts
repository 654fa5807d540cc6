import type { Inventory } from '../inventory.js';
import type { Vm } from '../vm.js';

const NO_UUID = /^[0-]*$/;

/** What the process behind a QMP socket says about its VM. */
export interface QmpIdentity {
  readonly uuid: string;
  readonly name: string;
}

/** The VM with this uuid, else with this name; undefined if several running VMs have the name. */
export function vmOfIdentity(inventory: Inventory, { uuid, name }: QmpIdentity): Vm | undefined {
  const running = inventory.vms().filter((vm) => !hasStopped(vm));
  const byUuid = NO_UUID.test(uuid) ? [] : running.filter((vm) => vm.uuid === uuid);
  const found = byUuid.length > 0 ? byUuid : running.filter((vm) => name !== '' && vm.name === name);
  return found.length === 1 ? found[0] : undefined;
}

export function hasStopped(vm: Vm | undefined): boolean {
  return vm !== undefined && !Number.isNaN(vm.stoppedMs);
}
