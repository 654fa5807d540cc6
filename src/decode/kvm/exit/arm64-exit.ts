/**
 * kvm_exit on arm64. No vCPU is named.
 *
 *   text     TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000040080000
 *            IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0xffff800008012345
 *   record   int ret, unsigned int esr_ec, unsigned long vcpu_pc
 *
 * Source: arch/arm64/kvm/trace_arm.h (Linux 6.18). `ret` is the kind of exit, and the label unless it is TRAP: then the
 * exception class `esr_ec` is.
 * Not used: vcpu_pc.
 */

import type { EventForms } from '../../format/event-forms.js';
import { fieldLabels } from '../../format/print-fmt.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { exitReasonLabel, numberLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, indexOf, indexOfByte, startsWith } from '../../text/bytes.js';

/** ARM_EXCEPTION_TRAP, for a print fmt that does not name it. */
const ARM_TRAP = 2;

const HSR_EC = ascii(': HSR_EC: ');
const TRAP = ascii('TRAP');
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;

export const arm64Exit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'ret', 'esr_ec');
    const [ret, esrEc] = fields;
    if (ret === undefined || esrEc === undefined) return undefined;
    const kindLabels = fieldLabels(format.printFmt, 'ret');
    const classLabels = fieldLabels(format.printFmt, 'esr_ec');
    const trap = [...kindLabels].find(([, label]) => label === 'TRAP')?.[0] ?? ARM_TRAP;
    const kinds = new ReasonInterner(vocabulary.reasons, (code) => kindLabels.get(code) ?? numberLabel(code));
    const classes = new ReasonInterner(
      vocabulary.reasons,
      (code) => classLabels.get(code) ?? exitReasonLabel('arm64', code),
    );
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const kind = readInt(view, record, ret);
        const reason = kind === trap ? classes.id(readInt(view, record, esrEc)) : kinds.id(kind);
        sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN, Number.NaN);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      const classStart = indexOf(bytes, line.argsStart, end, HSR_EC);
      if (classStart <= line.argsStart) return false;
      let from = line.argsStart;
      let to = classStart;
      if (startsWith(bytes, from, end, TRAP)) {
        from = indexOfByte(bytes, classStart, end, OPEN_PAREN) + 1;
        to = from <= 0 ? -1 : indexOfByte(bytes, from, end, CLOSE_PAREN);
        if (to <= from) return false;
      }
      const reason = vocabulary.reasons.intern(bytes, from, to, labelOfText);
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN, Number.NaN);
      return true;
    },
};

/** A kernel prints the exception classes that it has no name for in hexadecimal. */
function labelOfText(text: string): string {
  const code = text.startsWith('0x') ? Number.parseInt(text, 16) : Number.NaN;
  return Number.isNaN(code) ? text : exitReasonLabel('arm64', code);
}
