/**
 * kvm_exit on ppc with KVM PR, and on booke. No vCPU is named. KVM HV has kvm_guest_exit instead.
 *
 *   text     exit=DECREMENTER | pc=0xc000000000012345 | msr=0x8000000000009032 | dar=0x0 | ...
 *   record   unsigned int exit_nr, unsigned long pc, msr, dar, srr1, last_inst
 *
 * Source: arch/powerpc/kvm/trace_pr.h, trace_booke.h (Linux 6.x). Not used: everything but exit_nr.
 */
import type { EventForms } from '../../format/event-forms.js';
import { fieldLabels } from '../../format/print-fmt.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { exitReasonLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, skipWord, startsWith } from '../../text/bytes.js';

const EXIT = ascii('exit=');

export const ppcExit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const [exitNr] = bindFields(format, bigEndian, 'exit_nr');
    if (exitNr === undefined) return undefined;
    const labels = fieldLabels(format.printFmt, 'exit_nr');
    const reasons = new ReasonInterner(vocabulary.reasons, (code) => labels.get(code) ?? exitReasonLabel('ppc', code));
    return {
      needed: fieldsEnd([exitNr]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        sink.vmExit(timeNs, cpu, tid, -1, reasons.id(readInt(view, record, exitNr)), Number.NaN);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      const from = line.argsStart + EXIT.length;
      const to = skipWord(bytes, from, end);
      if (!startsWith(bytes, line.argsStart, end, EXIT) || to === from) return false;
      const reason = vocabulary.reasons.intern(bytes, from, to);
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN);
      return true;
    },
};
