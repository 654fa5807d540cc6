/**
 * KVM's own list of vCPU threads (HOST): `/sys/kernel/debug/kvm/<tid>-<fd>/vcpu<N>/pid` holds `187\n`, the host's id of
 * the thread that last ran the vCPU (virt/kvm/kvm_main.c; seen on Linux 6.1 and 6.12). N is KVM's vcpu_id; a thread id
 * of 0 means that no thread has run the vCPU yet. It identifies vCPU threads that have no names.
 */
import { join } from 'node:path';
import { tryListFolder, tryReadText } from '../../system/files.js';

/** Has a folder for each VM. */
export const KVM_DEBUGFS = '/sys/kernel/debug/kvm';

/**
 * Returns thread id -> vCPU. Entries that cannot be read are left out: debugfs is not mounted, this user must not see
 * it, or the VM has just stopped.
 * @param folder holds the `<tid>-<fd>` folders
 * @param isWanted false for the thread that created a VM whose vCPUs need not be read
 */
export function readDebugfsVcpus(folder: string, isWanted: (tid: number) => boolean = () => true): Map<number, number> {
  const vcpus = new Map<number, number>();
  for (const vm of tryListFolder(folder)) {
    const creator = /^(\d+)-\d+$/.exec(vm)?.[1];
    if (creator === undefined || !isWanted(Number(creator))) continue;
    for (const entry of tryListFolder(join(folder, vm))) {
      const vcpu = /^vcpu(\d+)$/.exec(entry)?.[1];
      if (vcpu === undefined) continue;
      const tid = numberIn(tryReadText(join(folder, vm, entry, 'pid')));
      if (tid > 0) vcpus.set(tid, Number(vcpu));
    }
  }
  return vcpus;
}

function numberIn(text = ''): number {
  return /^\d+\n?$/.test(text) ? Number(text) : 0;
}
