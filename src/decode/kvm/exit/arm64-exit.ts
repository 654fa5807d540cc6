/**
 * kvm_exit on arm64. No vCPU is named.
 *
 *   text     TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x0000000040080000
 *            IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0xffff800008012345
 *            vcpu: 0 TRAP: HSR_EC: ...                                 kvm_exit_v2 of Android's kernels
 *            HSR_EC: 0x0024 (DABT_LOW), PC: ...  HSR_EC: 0x0024, PC:   Linux 4.1 to 4.3
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
import { ascii, decimal, indexOf, indexOfByte, skipHex, skipWord, startsWith } from '../../text/bytes.js';
import type { FtraceLine } from '../../text/ftrace-line.js';

/** ARM_EXCEPTION_TRAP, for a print fmt that does not name it. */
const ARM_TRAP = 2;
/** kvm_arm_exception_type of arch/arm64/include/asm/kvm_asm.h, for text that has no print fmt. */
const KIND_LABELS: ReadonlyMap<number, string> = new Map([
  [0, 'IRQ'],
  [1, 'SERROR'],
  [ARM_TRAP, 'TRAP'],
  [0xbadca11, 'HYP_GONE'],
]);

const HSR_EC = ascii(': HSR_EC: ');
const CLASS = ascii('HSR_EC: 0x');
const NAME = ascii(' (');
const TRAP = ascii('TRAP');
const VCPU = ascii('vcpu: ');
const OPEN_PAREN = 0x28;
const CLOSE_PAREN = 0x29;

export const arm64Exit: EventForms = {
  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'ret', 'esr_ec', 'vcpu_id');
    const [ret, esrEc, vcpuId] = fields;
    if (ret === undefined || esrEc === undefined) return undefined;
    const printedLabels = fieldLabels(format.printFmt, 'ret');
    const kindLabels = printedLabels.size > 0 ? printedLabels : KIND_LABELS;
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
        const vcpu = vcpuId === undefined ? -1 : readInt(view, record, vcpuId);
        sink.vmExit(timeNs, cpu, tid, vcpu, reason, Number.NaN);
      },
    };
  },

  text: ({ vocabulary, sink }) => {
    /** The class that begins at `start`: a number, and its name in brackets if the kernel has one for it. */
    const scanClass = (bytes: Uint8Array, start: number, end: number, line: FtraceLine): boolean => {
      const numberEnd = skipHex(bytes, start + 2, end);
      const open = startsWith(bytes, numberEnd, end, NAME) ? numberEnd + NAME.length : -1;
      const from = open < 0 ? start : open;
      const to = open < 0 ? numberEnd : indexOfByte(bytes, open, end, CLOSE_PAREN);
      if (to <= from || numberEnd <= start + 2) return false;
      const reason = vocabulary.reasons.intern(bytes, from, to, labelOfText);
      sink.vmExit(line.timeNs, line.cpu, line.tid, -1, reason, Number.NaN);
      return true;
    };
    return (bytes, end, line) => {
      if (startsWith(bytes, line.argsStart, end, CLASS))
        return scanClass(bytes, line.argsStart + CLASS.length - 2, end, line);
      const classStart = indexOf(bytes, line.argsStart, end, HSR_EC);
      if (classStart <= line.argsStart) return false;
      const vcpu = startsWith(bytes, line.argsStart, end, VCPU)
        ? decimal(bytes, line.argsStart + VCPU.length, end)
        : -1;
      let from = vcpu < 0 ? line.argsStart : skipWord(bytes, line.argsStart + VCPU.length, end) + 1;
      let to = classStart;
      if (to <= from) return false;
      if (startsWith(bytes, from, end, TRAP)) {
        from = indexOfByte(bytes, classStart, end, OPEN_PAREN) + 1;
        to = from <= 0 ? -1 : indexOfByte(bytes, from, end, CLOSE_PAREN);
        if (to <= from) return false;
      }
      const reason = vocabulary.reasons.intern(bytes, from, to, labelOfText);
      sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reason, Number.NaN);
      return true;
    };
  },
};

/** A kernel prints the exception classes that it has no name for in hexadecimal. */
function labelOfText(text: string): string {
  const code = text.startsWith('0x') ? Number.parseInt(text, 16) : Number.NaN;
  return Number.isNaN(code) ? text : exitReasonLabel('arm64', code);
}
