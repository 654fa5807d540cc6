/**
 * The label of a VMX exit reason: 32 bits, of which the low 16 are the reason and those above are flags.
 *
 *   0x00000030 -> EPT_VIOLATION
 *   0x80000021 -> INVALID_STATE FAILED_VMENTRY
 *
 * As kvm_exit prints it (arch/x86/kvm/trace.h): the names of the flags behind a blank, bits without a name in hexadecimal.
 */

import type { ExitReasonLabels } from '../format/print-fmt.js';
import { exitReasonLabel } from './hardware.js';

/** What the kernel knows of flags, for kernels whose print fmt has no list of them. */
const BUILT_IN_FLAGS: ReadonlyMap<number, string> = new Map([[0x80000000, 'FAILED_VMENTRY']]);

export function vmxReasonLabel(labels: Pick<ExitReasonLabels, 'vmx' | 'vmxFlags'>, code: number): string {
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
