/**
 * kvm_exit where it gives no reason that is known here: the label is `unknown`, as an exit is an exit.
 *
 *   text     PC: 0xc0012345                 32-bit arm before Linux 4.2
 *   record   unsigned long vcpu_pc          the same; any other set of fields that the other files do not know
 *
 * Source: arch/arm/kvm/trace.h (Linux 3.9 to 4.1).
 */
import type { EventForms } from '../../format/event-forms.js';
import { ascii, startsWith } from '../../text/bytes.js';

/** The label of an exit without a reason. */
export const UNKNOWN_REASON = 'unknown';

const PC = ascii('PC: ');

export const unknownExit: EventForms = {
  record: (_format, { sink, vocabulary }) => {
    const reason = vocabulary.reasons.id(UNKNOWN_REASON);
    return {
      needed: 0,
      read: ({ timeNs }, _record, _end, cpu, tid) => sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN),
    };
  },

  text: ({ vocabulary, sink }) => {
    const reason = vocabulary.reasons.id(UNKNOWN_REASON);
    return (bytes, end, line) => {
      if (!startsWith(bytes, line.argsStart, end, PC)) return false;
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN);
      return true;
    };
  },
};
