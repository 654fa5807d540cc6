import { OTHER } from '../../trace/names.js';

/**
 * The names KVM_EXIT_* of kvm_run.exit_reason, without the prefix and indexed by number.
 *
 * Source: include/uapi/linux/kvm.h as of early 2026; numbers up to 39 are those of Linux 6.12. The tracepoint's own
 * list in include/trace/events/kvm.h ends at X86_WRMSR (30), and QEMU's kvm_run_exit prints the number alone. 44 has no
 * name here, because several unmerged patches claim it.
 */
const KVM_EXIT_NAMES: readonly string[] = [
  'UNKNOWN',
  'EXCEPTION',
  'IO',
  'HYPERCALL',
  'DEBUG',
  'HLT',
  'MMIO',
  'IRQ_WINDOW_OPEN',
  'SHUTDOWN',
  'FAIL_ENTRY',
  'INTR', // 10
  'SET_TPR',
  'TPR_ACCESS',
  'S390_SIEIC',
  'S390_RESET',
  'DCR',
  'NMI',
  'INTERNAL_ERROR',
  'OSI',
  'PAPR_HCALL',
  'S390_UCONTROL', // 20
  'WATCHDOG',
  'S390_TSCH',
  'EPR',
  'SYSTEM_EVENT',
  'S390_STSI',
  'IOAPIC_EOI',
  'HYPERV',
  'ARM_NISV',
  'X86_RDMSR',
  'X86_WRMSR', // 30
  'DIRTY_RING_FULL',
  'AP_RESET_HOLD',
  'X86_BUS_LOCK',
  'XEN',
  'RISCV_SBI',
  'RISCV_CSR',
  'NOTIFY',
  'LOONGARCH_IOCSR',
  'MEMORY_FAULT',
  'TDX', // 40
  'ARM_SEA',
  'ARM_LDST64B',
  'SNP_REQ_CERTS',
];

const LABELS: readonly string[] = KVM_EXIT_NAMES.map((name) => `KVM_EXIT_${name}`);

/** The kernel numbers reasons in order. No log of QEMU can add names beyond this number. */
const MAX_CODES = 256;

/** The labels of every code that a log of QEMU can show. */
export const USERSPACE_REASONS: readonly string[] = Array.from({ length: MAX_CODES }, (_, code) =>
  userspaceReasonLabel(code),
);

/** As {@link userspaceReasonLabel}, for codes from QEMU's own traces, which may be forged. */
export function qemuReasonLabel(code: number): string {
  return code < MAX_CODES ? userspaceReasonLabel(code) : OTHER;
}

/** The label of an exit_reason: `KVM_EXIT_IO` for 2, or the number itself if it has no name: `44`. */
export function userspaceReasonLabel(code: number): string {
  return LABELS[code] ?? String(code);
}
