/**
 * What an exit code or another tool's word for it is called: always the kernel's own label.
 *
 *   vmx 0x30 -> EPT_VIOLATION          svm 0x7b -> io            arm64 0x24 -> DABT_LOW
 *   vmx 0x80000021 -> INVALID_STATE FAILED_VMENTRY               s390 0x18 -> I/O request
 *   "EXIT_IOIO" (trace-cmd) -> io      "PENDING_INTERRUPT" (Linux < 5.5) -> INTERRUPT_WINDOW
 *
 * Sources: the files named at the tables in exit-reason-tables.ts; kvm_exit's TP_printk in arch/x86/kvm/trace.h (Linux 6.18)
 * for the flags of VMX and for numbers without a name, which it prints as 0x<hex>.
 */
import {
  ARM64_NAMES,
  LOONGARCH_NAMES,
  OLD_VMX_NAMES,
  RISCV_EXCEPTIONS,
  RISCV_INTERRUPTS,
  S390_NAMES,
  SHARED_NAMES,
  SVM_DEFINES,
  SVM_NAMES,
  VMX_NAMES,
} from './tables.js';

export type Isa = 'vmx' | 'svm' | 'arm64' | 's390' | 'riscv' | 'loongarch';

const TWO_POW_32 = 2 ** 32;
const TWO_POW_63 = 2 ** 63;
/** VMX_EXIT_REASONS_FAILED_VMENTRY */
const FAILED_VMENTRY = 0x80000000;

const LABELLERS: Readonly<Record<Isa, (code: number) => string>> = {
  vmx: vmxLabel,
  svm: svmLabel,
  arm64: (code) => ARM64_NAMES.get(code) ?? numberLabel(code),
  s390: (code) => S390_NAMES.get(code) ?? numberLabel(code),
  riscv: riscvLabel,
  loongarch: (code) => LOONGARCH_NAMES.get(code) ?? numberLabel(code),
};

const VMX_LABELS: ReadonlySet<string> = new Set(VMX_NAMES.values());
const SVM_LABELS: ReadonlySet<string> = new Set(SVM_NAMES.values());
const ALIASES = aliases();

/**
 * The kernel's label of an exit code, `0x<hex>` where it has none. `code` as the kernel's field holds it; a negative one is
 * taken as a 32-bit field that was read as signed. arm64: the exception class. s390: icptcode. riscv: scause.
 */
export function exitReasonLabel(isa: Isa, code: number): string {
  return LABELLERS[isa](withoutSign(code));
}

/** How the kernel prints a number without a name: `0x<hex>`. */
export function numberLabel(code: number): string {
  return `0x${withoutSign(code).toString(16)}`;
}

/**
 * The label of a riscv scause in parts. A double has no room for a 64-bit scause with its top bit (interrupt) and its low bits
 * (cause), so who reads 64 bits splits them.
 */
export function riscvCauseLabel(interrupt: boolean, cause: number): string {
  if (interrupt) return RISCV_INTERRUPTS.get(cause) ?? `IRQ_${cause}`;
  return RISCV_EXCEPTIONS.get(cause) ?? numberLabel(cause);
}

/** The kernel's label for what other tools and other kernels call an x86 exit. What is not known stays as it is. */
export function canonicalReason(text: string): string {
  return ALIASES.get(text) ?? unknownNumber(text) ?? text;
}

/**
 * Which table of x86 a label is from: a bare number means one thing to VMX and another to SVM. Undefined for a number, for a
 * label of another architecture, and for the few SVM labels that old VMX kernels printed as well.
 */
export function isaOfLabel(label: string): 'vmx' | 'svm' | undefined {
  if (SVM_LABELS.has(label)) return SHARED_NAMES.has(label) ? undefined : 'svm';
  const flags = label.indexOf(' ');
  return VMX_LABELS.has(flags < 0 ? label : label.slice(0, flags)) ? 'vmx' : undefined;
}

/** The basic reason is 16 bits; what is above are flags, of which the kernel names one. */
function vmxLabel(code: number): string {
  const reason = code % 0x10000;
  const flags = code - reason;
  const name = VMX_NAMES.get(reason) ?? numberLabel(reason);
  if (flags === 0) return name;
  if (flags < FAILED_VMENTRY || flags >= TWO_POW_32) return `${name} ${numberLabel(flags)}`;
  const rest = flags - FAILED_VMENTRY;
  return rest === 0 ? `${name} FAILED_VMENTRY` : `${name} FAILED_VMENTRY ${numberLabel(rest)}`;
}

/** VMEXIT_INVALID is -1: 32 bits of ones, or 64 where the kernel's field is that wide. */
function svmLabel(code: number): string {
  return SVM_NAMES.get(code >= TWO_POW_63 ? 0xffffffff : code) ?? numberLabel(code);
}

/** The top bit of 32 or 64 says interrupt. Of a 64-bit interrupt only that bit is left in a double (see riscvCauseLabel). */
function riscvLabel(code: number): string {
  if (code >= TWO_POW_63) return 'IRQ';
  if (code >= 0x80000000 && code < TWO_POW_32) return riscvCauseLabel(true, code - 0x80000000);
  return riscvCauseLabel(false, code);
}

/** libtraceevent prints what its table lacks as `UNKNOWN (77)`. The kernel's way of saying that is 0x4d. */
function unknownNumber(text: string): string | undefined {
  const digits = /^UNKNOWN \((\d{1,10})\)$/.exec(text)?.[1];
  return digits === undefined ? undefined : numberLabel(Number(digits));
}

function withoutSign(code: number): number {
  return code < 0 && code >= -TWO_POW_32 ? code + TWO_POW_32 : code;
}

/**
 * `EXIT_NPF` (trace-cmd) and `SVM_EXIT_NPF` can only be SVM's. A bare `NPF` (kvm_stat) is taken where VMX has no such label:
 * `CPUID` or `HLT` stay VMX's. `EXIT_REASON_HLT` is VMX's define.
 */
function aliases(): ReadonlyMap<string, string> {
  const map = new Map(OLD_VMX_NAMES);
  for (const label of VMX_LABELS) map.set(`EXIT_REASON_${label}`, label);
  const defines = new Map(SVM_DEFINES);
  const spelled = new Set(SVM_DEFINES.values());
  for (const label of SVM_LABELS) if (!spelled.has(label)) defines.set(label.toUpperCase(), label);
  for (const [define, label] of defines) {
    map.set(`EXIT_${define}`, label);
    map.set(`SVM_EXIT_${define}`, label);
    if (!VMX_LABELS.has(define)) map.set(define, label);
  }
  return map;
}
