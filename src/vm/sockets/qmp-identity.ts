import type { Vm } from '../tables/vm.js';

const NO_UUID = /^[0-]*$/;

/** What the process behind a QMP socket says about its VM. */
export interface QmpIdentity {
  readonly uuid: string;
  readonly name: string;
}

/** The VMs among these with this uuid, else those with this name. */
export function vmsOfIdentity(vms: readonly Vm[], { uuid, name }: QmpIdentity): readonly Vm[] {
  const byUuid = NO_UUID.test(uuid) ? [] : vms.filter((vm) => vm.uuid === uuid);
  return byUuid.length > 0 ? byUuid : vms.filter((vm) => name !== '' && vm.name === name);
}

export function hasStopped(vm: Vm | undefined): boolean {
  return vm !== undefined && !Number.isNaN(vm.stoppedMs);
}
