/**
 * What a thread's name says (PURE). Samples: `CPU 0/KVM`, `fc_vcpu 0`, `vcpu3`, `kvm-pit/7515`, `vhost-7515`.
 *
 * Where the names come from:
 * - QEMU, StratoVirt `CPU %d/KVM`, QEMU without KVM `CPU %d/TCG` (accel/kvm/kvm-accel-ops.c,
 *   accel/tcg/tcg-accel-ops-mttcg.c; QEMU before 11 only with `-name debug-threads=on`); Firecracker `fc_vcpu %d`;
 *   cloud-hypervisor `vcpu%d`; crosvm `crosvm_vcpu%d`; kvmtool `kvm-vcpu-%d`; Dragonball (Kata's Rust runtime)
 *   `db_vcpu%d`.
 * - `kvm-pit/%d` (arch/x86/kvm/i8254.c): process id, as seen in the pid namespace of the VMM that made it.
 * - `vhost-%d` (drivers/vhost/vhost.c): the host's id of the thread that made it, nearly always the main thread. Since
 *   Linux 6.4 it is a thread of the VMM's own process.
 *
 * A name holds 15 bytes and a process id at most 7 digits (4194304), so both kernel names are always whole. ftrace's
 * latency format shows 8 bytes only: the tail of `CPU 0/KVM` may be missing. `kvm-nx-lpage-re(covery)` is cut before
 * its number and says nothing. The number of a vCPU thread is the VMM's own index, which is not always KVM's vcpu_id.
 */

const VCPU = /^(?:CPU (\d{1,5})\/[A-Z]*|(?:fc_vcpu |vcpu|crosvm_vcpu|kvm-vcpu-|db_vcpu)(\d{1,5}))$/;
const KERNEL_THREAD = /^(?:kvm-pit\/|vhost-)(\d{1,7})$/;

/** Number of the vCPU that a thread of this name runs, -1 where the name does not say. */
export function vcpuOfComm(comm: string): number {
  const match = VCPU.exec(comm);
  return match === null ? -1 : Number(match[1] ?? match[2]);
}

/** Id of the VMM process or thread that a kernel thread of this name works for, -1 where the name does not say. */
export function vmPidOfKernelThread(comm: string): number {
  const match = KERNEL_THREAD.exec(comm);
  return match === null ? -1 : Number(match[1]);
}
