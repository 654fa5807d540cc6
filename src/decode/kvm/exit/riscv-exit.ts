/**
 * kvm_exit on riscv. No vCPU is named.
 *
 *   text     SEPC:0x80200000, SCAUSE:0x17, STVAL:0x0, HTVAL:0x0, HTINST:0x0
 *            EXC: SEPC:0x80200000, SCAUSE:0x17 (STORE_GUEST_PAGE_FAULT), ...     kernels of vendors
 *   record   unsigned long sepc, scause, stval, htval, htinst
 *
 * Source: arch/riscv/kvm/trace.h (Linux 6.18). The top bit of scause means interrupt. A double cannot hold that bit
 * together with the cause below it, so they are read apart. Not used: sepc, stval, htval, htinst.
 */

import type { EventForms } from '../../format/event-forms.js';
import { fieldsEnd, readInt } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { riscvCauseLabel } from '../../reasons/hardware.js';
import { ReasonInterner } from '../../reasons/reason-interner.js';
import { ascii, hexadecimal, indexOf, SPACE } from '../../text/bytes.js';

const SEPC = ascii('SEPC:');
const SCAUSE = ascii('SCAUSE:');
const COMMA = 0x2c;

export const riscvExit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const [scause] = bindFields(format, bigEndian, 'scause');
    if (scause === undefined || scause.size < 4) return undefined;
    const topWord = { offset: scause.offset + (bigEndian ? 0 : scause.size - 4), size: 4, littleEndian: !bigEndian };
    const mask = scause.size === 4 ? 0x7fffffff : -1;
    const exceptions = new ReasonInterner(vocabulary.reasons, (cause) => riscvCauseLabel(false, cause >>> 0));
    const interrupts = new ReasonInterner(vocabulary.reasons, (cause) => riscvCauseLabel(true, cause >>> 0));
    return {
      needed: fieldsEnd([scause]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const causes = readInt(view, record, topWord) < 0 ? interrupts : exceptions;
        const reason = causes.id(readInt(view, record, scause) & mask);
        sink.vmExit(timeNs, cpu, tid, -1, reason, Number.NaN);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      if (indexOf(bytes, line.argsStart, end, SEPC) < 0) return false;
      const at = indexOf(bytes, line.argsStart, end, SCAUSE);
      if (at < 0) return false;
      const from = at + SCAUSE.length;
      if (hexadecimal(bytes, from, end) < 0) return false;
      let to = from;
      while (to < end && bytes[to] !== COMMA && bytes[to] !== SPACE) to++;
      const reason = vocabulary.reasons.intern(bytes, from, to, labelOfText);
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN);
      return true;
    },
};

/** An interrupt is a number of full width, 8 or 16 digits, whose top bit is set. */
function labelOfText(text: string): string {
  const digits = text.replace(/^0x/, '');
  const interrupt = (digits.length === 16 || digits.length === 8) && Number.parseInt(digits.slice(0, 1), 16) >= 8;
  return riscvCauseLabel(interrupt, Number.parseInt(interrupt ? digits.slice(1) : digits, 16));
}
