/**
 * Labels of hardware exit reasons. An exit code, or another tool's name for it, always gets the kernel's own name.
 *
 *   vmx 0x30 -> EPT_VIOLATION          svm 0x7b -> io            arm64 0x24 -> DABT_LOW
 *   vmx 0x80000021 -> INVALID_STATE FAILED_VMENTRY               s390 0x18 -> I/O request
 *   "EXIT_IOIO" (trace-cmd) -> io      "PENDING_INTERRUPT" (Linux < 5.5) -> INTERRUPT_WINDOW
 *
 * Sources: the files named at the tables in tables.ts. The flags of VMX and the form of numbers without a name,
 * 0x<hex>, follow kvm_exit's TP_printk in arch/x86/kvm/trace.h (Linux 6.18).
 */
import {
  ARM64_NAMES,
  LOONGARCH_NAMES,
  OLD_VMX_NAMES,
  PPC_NAMES,
  RISCV_EXCEPTIONS,
  RISCV_INTERRUPTS,
  S390_NAMES,
  SHARED_NAMES,
  SVM_DEFINES,
  SVM_NAMES,
  VMX_NAMES,
} from './tables.js';

export type Isa = 'vmx' | 'svm' | 'arm64' | 's390' | 'riscv' | 'loongarch' | 'ppc';

const TWO_POW_32 = 2 ** 32;
const TWO_POW_63 = 2 ** 63;
/** VMX_EXIT_REASONS_FAILED_VMENTRY. */
const FAILED_VMENTRY = 0x80000000;

const LABELLERS: Readonly<Record<Isa, (code: number) => string>> = {
  vmx: vmxLabel,
  svm: svmLabel,
  arm64: (code) => ARM64_NAMES.get(code) ?? numberLabel(code),
  s390: (code) => S390_NAMES.get(code) ?? numberLabel(code),
  riscv: riscvLabel,
  loongarch: (code) => LOONGARCH_NAMES.get(code) ?? numberLabel(code),
  ppc: (code) => PPC_NAMES.get(code) ?? numberLabel(code),
};

const VMX_LABELS: ReadonlySet<string> = new Set(VMX_NAMES.values());
const SVM_LABELS: ReadonlySet<string> = new Set(SVM_NAMES.values());
const ALIASES = aliases();

/** The labels of every exit reason that the kernel names, of all architectures. */
export const HARDWARE_REASONS: readonly string[] = [
  VMX_NAMES,
  SVM_NAMES,
  ARM64_NAMES,
  S390_NAMES,
  RISCV_EXCEPTIONS,
  RISCV_INTERRUPTS,
  LOONGARCH_NAMES,
].flatMap((names) => [...names.values()]);

/**
 * The kernel's label of an exit code, `0x<hex>` if the kernel has none.
 * @param code the value of the kernel's field: the exception class on arm64, icptcode on s390, scause on riscv, trap or
 *   exit_nr on ppc. A
 *   negative code is a 32-bit field that was read as signed.
 */
export function exitReasonLabel(isa: Isa, code: number): string {
  return LABELLERS[isa](withoutSign(code));
}

/** The label of a code without a name, as the kernel prints it: `0x<hex>`. */
export function numberLabel(code: number): string {
  return `0x${withoutSign(code).toString(16)}`;
}

/**
 * The label of a riscv scause that is given in two parts: its top bit (interrupt) and its low bits (cause). A double
 * cannot hold both of a 64-bit scause.
 */
export function riscvCauseLabel(interrupt: boolean, cause: number): string {
  if (interrupt) return RISCV_INTERRUPTS.get(cause) ?? `IRQ_${cause}`;
  return RISCV_EXCEPTIONS.get(cause) ?? numberLabel(cause);
}

/** The kernel's label for a name that another tool or another kernel gives to an x86 exit. An unknown name is kept. */
export function canonicalReason(text: string): string {
  return ALIASES.get(text) ?? unknownNumber(text) ?? text;
}

/**
 * The kind of x86 CPU that a label belongs to. Undefined for a number, for a label of another architecture, and for the
 * few SVM labels that old VMX kernels printed as well.
 */
export function isaOfLabel(label: string): 'vmx' | 'svm' | undefined {
  if (SVM_LABELS.has(label)) return SHARED_NAMES.has(label) ? undefined : 'svm';
  const blank = label.indexOf(' ');
  return VMX_LABELS.has(blank < 0 ? label : label.slice(0, blank)) ? 'vmx' : undefined;
}

/** True for a label of VMX or SVM. */
export function isX86Label(label: string): boolean {
  return SVM_LABELS.has(label) || VMX_LABELS.has(label.replace(' FAILED_VMENTRY', ''));
}

/** The low 16 bits are the basic reason. The bits above are flags, of which the kernel names one. */
function vmxLabel(code: number): string {
  const reason = code % 0x10000;
  const flags = code - reason;
  const name = VMX_NAMES.get(reason) ?? numberLabel(reason);
  if (flags === 0) return name;
  if (flags < FAILED_VMENTRY || flags >= TWO_POW_32) return `${name} ${numberLabel(flags)}`;
  const rest = flags - FAILED_VMENTRY;
  return rest === 0 ? `${name} FAILED_VMENTRY` : `${name} FAILED_VMENTRY ${numberLabel(rest)}`;
}

/** VMEXIT_INVALID is -1: 32 bits of ones, or 64 if the kernel's field is 64 bits wide. */
function svmLabel(code: number): string {
  return SVM_NAMES.get(code >= TWO_POW_63 ? 0xffffffff : code) ?? numberLabel(code);
}

/** The top bit of 32 or 64 means interrupt. A double of a 64-bit interrupt keeps that bit alone. */
function riscvLabel(code: number): string {
  if (code >= TWO_POW_63) return 'IRQ';
  if (code >= 0x80000000 && code < TWO_POW_32) return riscvCauseLabel(true, code - 0x80000000);
  return riscvCauseLabel(false, code);
}

/** libtraceevent prints a code that its table lacks as `UNKNOWN (77)`. The kernel prints 0x4d. */
function unknownNumber(text: string): string | undefined {
  const digits = /^UNKNOWN \((\d{1,10})\)$/.exec(text)?.[1];
  return digits === undefined ? undefined : numberLabel(Number(digits));
}

function withoutSign(code: number): number {
  return code < 0 && code >= -TWO_POW_32 ? code + TWO_POW_32 : code;
}

/**
 * Names of other tools and old kernels -> the kernel's label. `EXIT_NPF` (trace-cmd) and `SVM_EXIT_NPF` are names of
 * SVM, `EXIT_REASON_HLT` is VMX's define. A bare `NPF` (kvm_stat) is a name of SVM unless VMX has the same label:
 * `CPUID` and `HLT` are VMX's.
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
