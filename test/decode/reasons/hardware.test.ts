import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalReason,
  exitReasonLabel,
  type Isa,
  isaOfLabel,
  riscvCauseLabel,
} from '../../../src/decode/reasons/hardware.js';
import { readFixture } from '../../support/fixtures.js';

/**
 * The names in a print fmt: `{ 0x040 + 6, "UD excp" }` -> [70, 'UD excp']. VMX comes first, then SVM, then VMX's flags.
 */
function kernelNames(path: string): { vmx: [number, string][]; svm: [number, string][] } {
  const printFmt = readFixture(path).toString('latin1').split('print fmt:')[1] ?? '';
  const pairs = [...printFmt.matchAll(/\{ ([-+ 0-9a-fx]+), "([^"]+)" \}/g)].map(([, key, name]): [string, string] => [
    key ?? '',
    name ?? '',
  ]);
  const svmFrom = pairs.findIndex(([, name]) => name === 'read_cr0');
  const value = (key: string) => key.split('+').reduce((sum, part) => sum + Number(part), 0);
  const numbers = (list: [string, string][]) => list.map(([key, name]): [number, string] => [value(key), name]);
  return { vmx: numbers(pairs.slice(0, svmFrom)), svm: numbers(pairs.slice(svmFrom, -1)) };
}

for (const [kernel, path] of [
  ['6.18', 'exact/e2-mix/tracefs/events/kvm/kvm_exit/format'],
  ['6.1', 'text-variants/tracefs/events/kvm/kvm_exit/format'],
] as const) {
  test(`every exit has the name that Linux ${kernel} prints for it`, () => {
    const { vmx, svm } = kernelNames(path);
    assert.ok(vmx.length > 55 && svm.length > 100, `${vmx.length} and ${svm.length} names`);
    for (const [code, name] of vmx) assert.equal(exitReasonLabel('vmx', code), name);
    for (const [code, name] of svm) assert.equal(exitReasonLabel('svm', code), name);
    for (const [, name] of vmx) assert.equal(isaOfLabel(name), 'vmx', name);
    for (const [, name] of [...vmx, ...svm]) assert.equal(canonicalReason(name), name);
  });
}

const LABELS: readonly (readonly [Isa, number, string])[] = [
  ['vmx', 0x30, 'EPT_VIOLATION'],
  ['vmx', 76, 'SEAMCALL'],
  ['vmx', 77, 'TDCALL'],
  ['vmx', 5, '0x5'],
  ['vmx', 0x1234, '0x1234'],
  ['vmx', 0x80000021, 'INVALID_STATE FAILED_VMENTRY'],
  ['vmx', 0x80000021 | 0, 'INVALID_STATE FAILED_VMENTRY'],
  ['vmx', 0x800000ff, '0xff FAILED_VMENTRY'],
  ['vmx', 0x08000000, 'EXCEPTION_NMI 0x8000000'],
  ['vmx', 0x88000021, 'INVALID_STATE FAILED_VMENTRY 0x8000000'],
  ['svm', 0x7b, 'io'],
  ['svm', 0x81, 'hypercall'],
  ['svm', 0x8e, 'rdpru'],
  ['svm', 0x93, 'write_cr3_trap'],
  ['svm', 0x9f, 'write_cr15_trap'],
  ['svm', 0xa1, '0xa1'],
  ['svm', 0x54, '0x54'],
  ['svm', -1, 'invalid_guest_state'],
  ['svm', 0xffffffff, 'invalid_guest_state'],
  ['svm', 2 ** 64, 'invalid_guest_state'],
  ['svm', 0x80000001, 'vmgexit_mmio_read'],
  ['svm', 0x80000001 | 0, 'vmgexit_mmio_read'],
  ['arm64', 0, 'UNKNOWN'],
  ['arm64', 0x01, 'WFx'],
  ['arm64', 0x16, 'HVC64'],
  ['arm64', 0x1a, 'ERET'],
  ['arm64', 0x24, 'DABT_LOW'],
  ['arm64', 0x3f, '0x3f'],
  ['s390', 0x04, 'Instruction'],
  ['s390', 0x18, 'I/O request'],
  ['s390', 0x24, '0x24'],
  ['riscv', 10, 'EXC_SUPERVISOR_SYSCALL'],
  ['riscv', 21, 'EXC_LOAD_GUEST_PAGE_FAULT'],
  ['riscv', 22, 'EXC_VIRTUAL_INST_FAULT'],
  ['riscv', 14, '0xe'],
  ['riscv', 0x80000005, 'IRQ_S_TIMER'],
  ['riscv', 2 ** 63, 'IRQ'],
  ['loongarch', 64, 'IDLE'],
  ['loongarch', 65, 'CACHE'],
  ['loongarch', 0x16, '0x16'],
];

for (const [isa, code, label] of LABELS) {
  test(`${isa} ${code} is ${label}`, () => assert.equal(exitReasonLabel(isa, code), label));
}

test('a riscv cause that is given in two parts has a label', () => {
  assert.equal(riscvCauseLabel(true, 9), 'IRQ_S_EXT');
  assert.equal(riscvCauseLabel(true, 12), 'IRQ_S_GEXT');
  assert.equal(riscvCauseLabel(true, 40), 'IRQ_40');
  assert.equal(riscvCauseLabel(false, 23), 'EXC_STORE_GUEST_PAGE_FAULT');
});

/** A spelling, the kernel's label, and the kind of CPU that the label shows. */
const SPELLINGS: readonly (readonly [string, string, 'vmx' | 'svm' | undefined])[] = [
  // libtraceevent's kvm plugin.
  ['EXIT_IOIO', 'io', 'svm'],
  ['EXIT_NPF', 'npf', 'svm'],
  ['EXIT_CPUID', 'cpuid', undefined],
  ['EXIT_HLT', 'hlt', 'svm'],
  ['EXIT_INTR', 'interrupt', 'svm'],
  ['EXIT_VMMCALL', 'hypercall', undefined],
  ['EXIT_EXCP_UD', 'UD excp', 'svm'],
  ['EXIT_EXCP_XF', 'XF excp', 'svm'],
  ['EXIT_IDTR_READ', 'read_idtr', 'svm'],
  ['EXIT_TR_WRITE', 'write_rt', 'svm'],
  ['EXIT_READ_CR0', 'read_cr0', 'svm'],
  ['EXIT_MWAIT_COND', 'mwait_cond', 'svm'],
  ['EXIT_AVIC_INCOMPLETE_IPI', 'avic_incomplete_ipi', 'svm'],
  ['EXIT_ERR', 'invalid_guest_state', 'svm'],
  ['PENDING_INTERRUPT', 'INTERRUPT_WINDOW', 'vmx'],
  ['UNKNOWN (77)', '0x4d', undefined],
  // kvm_stat and bcc.
  ['IOIO', 'io', 'svm'],
  ['VINTR', 'vintr', 'svm'],
  ['SVM_EXIT_NPF', 'npf', 'svm'],
  ['EXIT_REASON_HLT', 'HLT', 'vmx'],
  ['EXIT_REASON_MSR_WRITE', 'MSR_WRITE', 'vmx'],
  // The same word in both lists: in upper case it is VMX's.
  ['CPUID', 'CPUID', 'vmx'],
  ['HLT', 'HLT', 'vmx'],
  ['TASK_SWITCH', 'TASK_SWITCH', 'vmx'],
  ['BUS_LOCK', 'BUS_LOCK', 'vmx'],
  // VMX in Linux 2.6.3x.
  ['apic_access', 'APIC_ACCESS', 'vmx'],
  ['ext_irq', 'EXTERNAL_INTERRUPT', 'vmx'],
  ['rdmsr', 'MSR_READ', 'vmx'],
  ['halt', 'HLT', 'vmx'],
  ['tpr_below_thres', 'TPR_BELOW_THRESHOLD', 'vmx'],
  // Words that SVM has too show nothing.
  ['cpuid', 'cpuid', undefined],
  ['hypercall', 'hypercall', undefined],
  ['wbinvd', 'wbinvd', undefined],
  // Unknown.
  ['0x4d', '0x4d', undefined],
  ['UNKNOWN-ISA', 'UNKNOWN-ISA', undefined],
  ['EXIT_NOVEL', 'EXIT_NOVEL', undefined],
  ['TRAP', 'TRAP', undefined],
  ['', '', undefined],
  // The kernel's own.
  ['EXCEPTION_NMI FAILED_VMENTRY', 'EXCEPTION_NMI FAILED_VMENTRY', 'vmx'],
  ['PF excp', 'PF excp', 'svm'],
  ['msr', 'msr', 'svm'],
];

for (const [spelling, label, isa] of SPELLINGS) {
  test(`"${spelling}" has the label ${label} of ${isa ?? 'unknown'}`, () => {
    assert.equal(canonicalReason(spelling), label);
    assert.equal(isaOfLabel(canonicalReason(spelling)), isa);
  });
}
