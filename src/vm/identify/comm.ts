/**
 * Reads what the name of a thread says (PURE). Samples: `CPU 0/KVM`, `fc_vcpu 0`, `vcpu3`, `kvm-pit/7515`,
 * `vhost-7515`.
 *
 * Names of vCPU threads hold the VMM's own index, which is not always KVM's vcpu_id:
 *
 * - QEMU, StratoVirt: `CPU %d/KVM`; QEMU without KVM: `CPU %d/TCG` (accel/kvm/kvm-accel-ops.c,
 *   accel/tcg/tcg-accel-ops-mttcg.c; before QEMU 11 only with `-name debug-threads=on`)
 * - Firecracker: `fc_vcpu %d`
 * - cloud-hypervisor: `vcpu%d`
 * - crosvm: `crosvm_vcpu%d`
 * - kvmtool: `kvm-vcpu-%d`
 * - Dragonball (Kata's Rust runtime): `db_vcpu%d`
 * - alioth, rust-vmm's reference VMM: `vcpu_%d`; further VMMs: `vcpu-%d`
 * - VirtualBox: `EMT-%d` (VM.cpp; `EMT` if the VM has one vCPU)
 *
 * Names of kernel threads hold an id of the VMM that they work for:
 *
 * - `kvm-pit/%d` (arch/x86/kvm/i8254.c): the process id, as seen in the VMM's own pid namespace
 * - `vhost-%d` (drivers/vhost/vhost.c): the host's id of the thread that created it, nearly always the main thread.
 *   Since Linux 6.4 it is a thread of the VMM's own process.
 *
 * A name holds 15 bytes and a process id at most 7 digits (4194304), so the names of kernel threads are always whole.
 * ftrace's latency format shows 8 bytes only: the tail of `CPU 0/KVM` may be missing. `kvm-nx-lpage-re(covery)` is cut
 * before its number and says nothing.
 */

const VCPU = /^(?:CPU (\d{1,5})\/[A-Z]*|(?:fc_vcpu |vcpu[-_]?|crosvm_vcpu|kvm-vcpu-|db_vcpu|EMT-)(\d{1,5}))$/;
const KERNEL_THREAD = /^(?:kvm-pit\/|vhost-)(\d{1,7})$/;

/** Number of the vCPU that a thread of this name runs; -1 if the name does not tell. */
export function vcpuOfComm(comm: string): number {
  const match = VCPU.exec(comm);
  return match === null ? -1 : Number(match[1] ?? match[2]);
}

/** Id of the VMM's process or thread that a kernel thread of this name works for; -1 if the name does not tell. */
export function vmPidOfKernelThread(comm: string): number {
  const match = KERNEL_THREAD.exec(comm);
  return match === null ? -1 : Number(match[1]);
}
