/**
 * KVM's own list of vCPU threads (HOST): `/sys/kernel/debug/kvm/<pid>-<fd>/vcpu<N>/pid` holds `187\n`, the host's id of
 * the thread that last ran the vCPU (virt/kvm/kvm_main.c; seen on Linux 6.1 and 6.12). Helps where threads have no
 * names. N is KVM's vcpu_id. 0 means that no thread has run it yet.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Thread id -> vCPU. `root`: the folder with the `<pid>-<fd>` folders. What can't be read is left out. */
export function readDebugfsVcpus(root: string): Map<number, number> {
  const vcpus = new Map<number, number>();
  for (const vm of list(root)) {
    if (!/^\d+-\d+$/.test(vm)) continue;
    for (const entry of list(join(root, vm))) {
      const vcpu = /^vcpu(\d+)$/.exec(entry)?.[1];
      if (vcpu === undefined) continue;
      const tid = readNumber(join(root, vm, entry, 'pid'));
      if (tid > 0) vcpus.set(tid, Number(vcpu));
    }
  }
  return vcpus;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not mounted, not permitted, or the VM has just stopped
  }
}

function readNumber(path: string): number {
  try {
    const text = readFileSync(path, 'latin1').trim();
    return /^\d+$/.test(text) ? Number(text) : 0;
  } catch {
    return 0;
  }
}
