/**
 * kvm_exit on x86.
 *
 *   text     vcpu 0 reason npf rip 0xfff0 info1 0x0000000100000014 info2 0x00000000fffffff0 intr_info 0x00000000 ...
 *   record   4a 06 01 01  bb 00 00 00                             common_type 1610, common_pid 187
 *            00 04 00 00  .. .. .. ..  f0 ff 00 00  00 00 00 00   exit_reason 0x400, guest_rip 0xfff0
 *            02 00 00 00  .. .. .. ..  14 00 00 00  01 00 00 00   isa 2 (1 VMX, 2 SVM), info1 0x100000014
 *            f0 ff ff ff  00 00 00 00  00 00 00 00  00 00 00 00   info2 0xfffffff0, intr_info, error_code
 *            00 00 00 00                                          vcpu_id 0
 *
 * Recorded on Linux 6.12; the same in 6.1 and, with `requests` behind error_code, in 6.18. Other texts:
 *
 *   5.6 to 5.9     vcpu 1 reason IO_INSTRUCTION rip 0xffff info e90008 0
 *   3.x to 5.5     reason EPT_VIOLATION rip 0xfffff info 181 0        (no vcpu_id)
 *   trace-cmd      reason EXIT_NPF rip 0xe05b info 100000014 fe05b
 *   people         vcpu 0 reason EXTERNAL_INTERRUPT intr_info 0x800000ec
 *
 * Source: arch/x86/kvm/trace.h. In text, a reason can hold blanks (`UD excp`, `INVALID_STATE FAILED_VMENTRY`) and ends
 * at ` rip `. People leave out what does not matter to them, so a known reason may also stand alone. In records, a
 * reason gets its name from the running kernel's print fmt, or from the built-in tables if the print fmt lacks it. Not
 * used: guest_rip, info2, intr_info, error_code, requests.
 */
import { latin1, type Names } from '../../../trace/names.js';
import type { EventForms } from '../../format/event-forms.js';
import { fieldsEnd, readInt, readUnsigned } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { canonicalReason, exitReasonLabel, isaOfLabel, isX86Label, numberLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, decimal, hexadecimalAfter, indexOf, startsWith } from '../../text/bytes.js';
import type { FtraceLine } from '../../text/ftrace-line.js';
import { kernelLabels, vmxReasonLabel } from './x86-labels.js';

/** KVM_ISA_VMX. The kernel's own text takes every other value for KVM_ISA_SVM. */
const ISA_VMX = 1;

const VCPU = ascii('vcpu ');
const REASON = ascii('reason ');
const RIP = ascii(' rip ');
const INFO1 = ascii(' info1 ');
const INFO = ascii(' info ');
/** What follows the reason if there is no ` rip `. */
const ARGUMENTS = [INFO1, INFO, ascii(' intr_info ')];
const MAX_REASON = 64;

export const x86Exit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'exit_reason', 'isa', 'info1', 'vcpu_id');
    const [exitReason, isa, info1, vcpuId] = fields;
    if (exitReason === undefined) return undefined;
    const labels = kernelLabels(format.printFmt);
    const vmx = new ReasonInterner(vocabulary.reasons, (code) => canonicalReason(vmxReasonLabel(labels, code)));
    const svm = new ReasonInterner(vocabulary.reasons, (code) =>
      canonicalReason(labels.svm.get(code >>> 0) ?? exitReasonLabel('svm', code)),
    );
    const unknown = new ReasonInterner(vocabulary.reasons, numberLabel);
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        // Kernels before 2.6.36 have no `isa`: a number may be of VMX or of SVM.
        const reasons = isa === undefined ? unknown : readInt(view, record, isa) === ISA_VMX ? vmx : svm;
        const vcpu = vcpuId === undefined ? -1 : readInt(view, record, vcpuId);
        const reason = reasons.id(readInt(view, record, exitReason));
        const info = info1 === undefined ? Number.NaN : readUnsigned(view, record, info1);
        sink.vmExit(timeNs, cpu, tid, vcpu, reason, info);
      },
    };
  },

  text: ({ vocabulary, sink }) => {
    const reasons = new TextReasons(vocabulary.reasons);
    return (bytes, end, line) => {
      let at = line.argsStart;
      let vcpu = -1;
      if (startsWith(bytes, at, end, VCPU)) {
        vcpu = decimal(bytes, at + VCPU.length, end);
        at = indexOf(bytes, at, end, REASON);
      }
      if (at < 0 || !startsWith(bytes, at, end, REASON)) return false;
      const reasonStart = at + REASON.length;
      const reasonEnd = endOfReason(bytes, reasonStart, end, line);
      if (reasonEnd <= reasonStart) return false;
      const reason = reasons.id(bytes, reasonStart, reasonEnd);
      let info1 = hexadecimalAfter(bytes, reasonEnd, end, INFO1);
      if (Number.isNaN(info1)) info1 = hexadecimalAfter(bytes, reasonEnd, end, INFO);
      sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reason, info1);
      return true;
    };
  },
};

/**
 * End of the reason: ` rip `, else the next argument. Where a line has no header, prose may look alike, so the reason
 * has to look like one; then it may also be all that is left of the event.
 */
function endOfReason(bytes: Uint8Array, start: number, end: number, { hasThread, cpu }: FtraceLine): number {
  const rip = indexOf(bytes, start, end, RIP);
  const hasHeader = hasThread || cpu >= 0;
  if (rip >= 0 && hasHeader) return rip;
  let to = rip;
  for (const argument of ARGUMENTS) if (to < 0) to = indexOf(bytes, start, end, argument);
  if (to < 0 && !hasHeader) to = end;
  if (to < 0 || to - start > MAX_REASON) return -1;
  const text = latin1(bytes, start, to).trimEnd();
  return isX86Label(canonicalReason(text)) || (rip >= 0 && /^[A-Z_]+$|^0x/.test(text)) ? start + text.length : -1;
}

/**
 * Reasons as text spells them -> ids of their labels.
 *
 *   io | npf | UD excp | EPT_MISCONFIG | EXCEPTION_NMI FAILED_VMENTRY | EXIT_IOIO (trace-cmd) | 0xa2
 *
 * A bare number has one meaning for VMX and another for SVM. The first reason with a name shows which of the two the
 * host has; numbers before it stay numbers.
 */
export class TextReasons {
  readonly #names: Names;
  #isa: 'vmx' | 'svm' | undefined;

  constructor(names: Names) {
    this.#names = names;
  }

  id(bytes: Uint8Array, start: number, end: number): number {
    const known = this.#names.find(bytes, start, end);
    return known >= 0 ? known : this.#learn(bytes, start, end);
  }

  #learn(bytes: Uint8Array, start: number, end: number): number {
    const label = canonicalReason(latin1(bytes, start, end));
    if (!label.startsWith('0x')) {
      this.#isa ??= isaOfLabel(label);
      return this.#names.intern(bytes, start, end, () => label);
    }
    const isa = this.#isa;
    // Not taught as a spelling: the number gets its name once the host is known.
    if (isa === undefined) return this.#names.id(label);
    return this.#names.intern(bytes, start, end, () => exitReasonLabel(isa, Number(label)));
  }
}
