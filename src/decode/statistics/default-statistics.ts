/**
 * The statistics that are shown unless all are asked for. Patterns, because names differ by architecture:
 *
 *   exits, io_exits, mmio_exits, halt_exits    x86
 *   hvc_exit_stat, mmio_exit_user              arm64, riscv
 *   exit_userspace, exit_null                  s390
 */
const SHOWN: readonly RegExp[] = [
  /(^|_)exits?(_|$)/, //                                          why vCPUs left their guests
  /^halt_(?!poll_invalid)/, //                                    what idle vCPUs did: polled, slept
  /^(hypercalls|insn_emulation|insn_emulation_fail)$/, //         what KVM did for the guest
  /^nested_run$/, //                                              VMs in the VM, whose exits count too
  /^pages_/, //                                                   how the VM's memory is mapped
];

export function isShownByDefault(name: string): boolean {
  return SHOWN.some((pattern) => pattern.test(name));
}
