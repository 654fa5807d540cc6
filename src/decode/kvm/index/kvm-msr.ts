/**
 * kvm_msr: the guest reads or writes a model-specific register that KVM handles (x86).
 *
 *   text     msr_read 1b = 0xfee00900
 *            msr_write 1b = 0xfee00900
 *            msr_read c0011029 = 0x0 (#GP)
 *   record   00 00 00 00  1b 00 00 00   write 0 (a read), ecx 0x1b
 *            00 09 e0 fe  00 00 00 00   data 0xfee00900
 *            00                         exception
 *
 * Recorded on Linux 6.1. Source: arch/x86/kvm/trace.h. Not used: data, exception.
 */
import { MSR_READ, MSR_WRITE } from '../../../trace/sink.js';
import type { KvmEvent } from '../../format/kvm-event.js';
import { fieldsEnd, readInt, readUnsigned } from '../../format/record-field.js';
import { bindFields } from '../../format/record-reader.js';
import { ascii, hexadecimal, startsWith } from '../../text/bytes.js';

const READ = ascii('msr_read ');
const WRITE = ascii('msr_write ');

export const kvmMsr: KvmEvent = {
  names: ['kvm_msr'],
  neededBy: ['indices'],

  record: (format, { sink, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'write', 'ecx');
    const [write, ecx] = fields;
    if (write === undefined || ecx === undefined) return undefined;
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const kind = readInt(view, record, write) !== 0 ? MSR_WRITE : MSR_READ;
        sink.index(timeNs, cpu, tid, kind, readUnsigned(view, record, ecx));
      },
    };
  },

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const write = startsWith(bytes, line.argsStart, end, WRITE);
      if (!write && !startsWith(bytes, line.argsStart, end, READ)) return false;
      const msr = hexadecimal(bytes, line.argsStart + (write ? WRITE.length : READ.length), end);
      if (msr < 0) return false;
      sink.index(line.timeNs, line.cpu, line.tid, write ? MSR_WRITE : MSR_READ, msr);
      return true;
    },
};
