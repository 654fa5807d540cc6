/** One of KVM's statistics, and the exits whose number it equals. */
export interface AuditCheck {
  /** Name of the statistic; a name of our own where the exits equal the sum of several statistics. */
  readonly check: string;
  readonly statistics: readonly string[];
  readonly layer: 'kvm' | 'qemu';
  /** Labels of the exits, of all architectures; undefined for all exits of the layer. */
  readonly reasons: readonly string[] | undefined;
}

/**
 * The checks. KVM counts in the handler of each exit (svm.c, vmx.c, x86.c; arch/arm64/kvm/handle_exit.c, mmio.c).
 * test/audit shows every row but WFx to be equal in recordings whose statistics were saved. A VM has only the
 * statistics of its architecture. `signal_exits` is left out: KVM counts only some of the exits labelled `restart`.
 */
export const AUDIT_CHECKS: readonly AuditCheck[] = [
  { check: 'exits', statistics: ['exits'], layer: 'kvm', reasons: undefined },
  { check: 'io_exits', statistics: ['io_exits'], layer: 'kvm', reasons: ['io', 'IO_INSTRUCTION'] },
  { check: 'halt_exits', statistics: ['halt_exits'], layer: 'kvm', reasons: ['hlt', 'HLT'] },
  { check: 'irq_exits', statistics: ['irq_exits'], layer: 'kvm', reasons: ['interrupt', 'EXTERNAL_INTERRUPT'] },
  { check: 'irq_window_exits', statistics: ['irq_window_exits'], layer: 'kvm', reasons: ['vintr', 'INTERRUPT_WINDOW'] },
  { check: 'hypercalls', statistics: ['hypercalls'], layer: 'kvm', reasons: ['hypercall', 'VMCALL'] },
  { check: 'mmio_exits', statistics: ['mmio_exits'], layer: 'qemu', reasons: ['KVM_EXIT_MMIO'] },
  // arm64
  { check: 'hvc_exit_stat', statistics: ['hvc_exit_stat'], layer: 'kvm', reasons: ['HVC32', 'HVC64'] },
  { check: 'wfx_exits', statistics: ['wfi_exit_stat', 'wfe_exit_stat'], layer: 'kvm', reasons: ['WFx'] },
  { check: 'mmio_exit_user', statistics: ['mmio_exit_user'], layer: 'qemu', reasons: ['KVM_EXIT_MMIO'] },
];

/** The statistics that the checks need, and `nested_run`, which shows that a check cannot hold. */
export const AUDITED_STATISTICS: ReadonlySet<string> = new Set([
  ...AUDIT_CHECKS.flatMap(({ statistics }) => statistics),
  'nested_run',
]);
