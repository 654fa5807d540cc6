/**
 * kvm_exit on loongarch. No vCPU is named.
 *
 *   text     [IDLE]PC: 0x9000000000222000
 *   record   unsigned long pc, unsigned int reason
 *
 * Source: arch/loongarch/kvm/trace.h (Linux 6.18).
 * Not used: pc.
 */

import type { EventForms } from '../../format/event-forms.js';
import { fieldLabels } from '../../format/print-fmt.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { exitReasonLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, indexOfByte, startsWith } from '../../text/bytes.js';

const PC = ascii('PC: ');
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

export const loongarchExit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const [code] = bindFields(format, bigEndian, 'reason');
    if (code === undefined) return undefined;
    const labels = fieldLabels(format.printFmt, 'reason');
    const reasons = new ReasonInterner(
      vocabulary.reasons,
      (reason) => labels.get(reason) ?? exitReasonLabel('loongarch', reason),
    );
    return {
      needed: fieldsEnd([code]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        sink.vmExit(timeNs, cpu, tid, -1, reasons.id(readInt(view, record, code)), Number.NaN);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      if (bytes[line.argsStart] !== OPEN_BRACKET) return false;
      const from = line.argsStart + 1;
      const to = indexOfByte(bytes, from, end, CLOSE_BRACKET);
      if (to <= from || !startsWith(bytes, to + 1, end, PC)) return false;
      const reason = vocabulary.reasons.intern(bytes, from, to);
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN);
      return true;
    },
};
