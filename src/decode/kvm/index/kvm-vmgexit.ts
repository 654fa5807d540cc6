/**
 * kvm_vmgexit_enter: a guest with encrypted registers (SEV-ES, SEV-SNP) asks for something by the page that it shares
 * with KVM, the GHCB. To kvm_exit all of these are `vmgexit`; here is the reason that a plain guest would have had.
 *
 *   text   vcpu 0, exit_reason 7b, exit_info1 3f80031, exit_info2 0
 *
 * Source: arch/x86/kvm/trace.h (5.11 to 6.18). Reasons of the GHCB itself, 0x80000000 and above, are those of
 * SVM_VMGEXIT_* (arch/x86/include/uapi/asm/svm.h). Not used: exit_info1, exit_info2.
 */
import { GHCB_EXIT } from '../../../trace/sink.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { fieldsEnd, readUnsigned } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { exitReasonLabel, numberLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, hexadecimalAfter } from '../../text/bytes.js';

const REASON = ascii('exit_reason ');
/** Label of codes that are not in the kernel's list. The guest chooses the code, so it must not make names. */
const NOT_LISTED = 'unknown';

function svmLabel(code: number): string {
  const label = exitReasonLabel('svm', code);
  return label === numberLabel(code) ? NOT_LISTED : label;
}

export const kvmVmgexit: KvmEvent = {
  names: ['kvm_vmgexit_enter'],
  neededBy: ['indices'],

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'exit_reason');
    const [reason] = fields;
    if (reason === undefined) return undefined;
    const reasons = new ReasonInterner(vocabulary.reasons, svmLabel);
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) =>
        sink.index(timeNs, cpu, tid, GHCB_EXIT, reasons.id(readUnsigned(view, record, reason))),
    };
  },

  text: ({ sink, vocabulary }) => {
    const reasons = new ReasonInterner(vocabulary.reasons, svmLabel);
    return (bytes, end, line) => {
      const code = hexadecimalAfter(bytes, line.argsStart, end, REASON);
      if (Number.isNaN(code)) return false;
      sink.index(line.timeNs, line.cpu, line.tid, GHCB_EXIT, reasons.id(code));
      return true;
    };
  },
};
