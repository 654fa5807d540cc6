/**
 * The running kernel's own names of x86 exit reasons, from kvm_exit's print fmt.
 *
 *   (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, { 0, "EXCEPTION_NMI" }, ...)
 *                   : __print_symbolic(REC->exit_reason, { 0x000, "read_cr0" }, ...),
 *   (REC->isa == 1) ? __print_flags(REC->exit_reason & ~0xffff, " ", { 0x80000000, "FAILED_VMENTRY" }) : ""
 */
import { type Labels, mentions, parseLabelTables } from '../../format/print-fmt.js';
import { exitReasonLabel } from '../../reasons/hardware.js';

export interface KernelLabels {
  /** Names of basic exit reasons, the low 16 bits. */
  readonly vmx: Labels;
  /** Names of single bits above those 16. */
  readonly vmxFlags: Labels;
  readonly svm: Labels;
}

const NONE: Labels = new Map();
/** The kernel's flags, for a print fmt that does not list them. */
const BUILT_IN_FLAGS: Labels = new Map([[0x80000000, 'FAILED_VMENTRY']]);

/** The condition on `isa` (1 VMX, 2 SVM) in front of a table decides which one it is. */
export function kernelLabels(printFmt: string): KernelLabels {
  const tables = parseLabelTables(printFmt).filter(({ expression }) => mentions(expression, 'exit_reason'));
  const symbolic = tables.filter(({ macro }) => macro === 'symbolic');
  const flags = tables.find(({ macro }) => macro === 'flags');
  const tested = symbolic.map(({ before }) => /isa\s*==\s*(\d+)\s*\)?\s*\?\s*$/.exec(before)?.[1]);
  const vmx =
    symbolic[tested.indexOf('1')] ?? symbolic.find((_, index) => tested[index] !== '2' && tested.includes('2'));
  const svm = symbolic.find((table) => table !== vmx);
  return {
    vmx: vmx?.labels ?? NONE,
    vmxFlags: flags?.labels ?? NONE,
    svm: vmx === undefined ? NONE : (svm?.labels ?? NONE),
  };
}

/**
 * The label of a VMX exit reason as kvm_exit prints it: the name of the low 16 bits, then the names of the flags above
 * them. Flags without a name follow in hexadecimal.
 *
 *   0x00000030 -> EPT_VIOLATION
 *   0x80000021 -> INVALID_STATE FAILED_VMENTRY
 */
export function vmxReasonLabel(labels: Pick<KernelLabels, 'vmx' | 'vmxFlags'>, code: number): string {
  const basic = code & 0xffff;
  const words = [labels.vmx.get(basic) ?? exitReasonLabel('vmx', basic)];
  let flags = (code & ~0xffff) >>> 0;
  for (const [bit, name] of labels.vmxFlags.size > 0 ? labels.vmxFlags : BUILT_IN_FLAGS) {
    if ((flags & bit) >>> 0 !== bit || bit === 0) continue;
    words.push(name);
    flags = (flags & ~bit) >>> 0;
  }
  if (flags !== 0) words.push(`0x${flags.toString(16)}`);
  return words.join(' ');
}
