import type { VmInfo } from '../snapshot/tables/vms.js';
import type { Changes } from './rules/rule.js';

type Changer = keyof Changes;

/** What keeps a VM's settings -> where they can be changed, the best place first. */
const PLACES = new Map<string, readonly Changer[]>([
  ['kubevirt', ['kubevirt', 'libvirt']],
  ['proxmox', ['proxmox', 'qemu']],
  ['libvirt', ['libvirt', 'qemu']],
]);

/** The same for VMs that nothing manages. VMMs other than QEMU lack the devices and options that the rules name. */
const PLACES_OF_VMM = new Map<string, readonly Changer[]>([
  ['qemu', ['qemu']],
  ['stratovirt', ['qemu']],
  ['cloud-hypervisor', []],
  ['crosvm', []],
  ['dragonball', []],
  ['firecracker', []],
  ['kvmtool', []],
]);

/**
 * The changes that fit a VM: inside the guest, on the host, and where its settings are kept. All of them if the VMM is
 * not known.
 */
export function changesFor(changes: Changes, vm: Pick<VmInfo, 'vmm' | 'manager'> | undefined): Changes {
  const places = PLACES.get(vm?.manager ?? '') ?? PLACES_OF_VMM.get(vm?.vmm ?? '');
  if (places === undefined) return changes;
  const place = places.find((each) => changes[each] !== undefined);
  const kept: readonly Changer[] = ['guest', 'host', ...(place === undefined ? [] : [place])];
  return Object.fromEntries(kept.flatMap((each) => (changes[each] === undefined ? [] : [[each, changes[each]]])));
}
