/**
 * kvm_mmio: the guest accesses emulated memory. A read that KVM cannot answer is reported twice: as `unsatisfied-read`
 * before the VMM is asked, as `read` when the answer is there.
 *
 *   text     mmio write len 4 gpa 0xfee000f0 val 0x1ff
 *   record   06 06 24 00  bb 00 00 00   common_type 1542, common_pid 187
 *            02 00 00 00  04 00 00 00   type 2 (KVM_TRACE_MMIO_WRITE), len 4
 *            f0 00 e0 fe  00 00 00 00   gpa 0xfee000f0
 *            ff 01 00 00  00 00 00 00   val 0x1ff
 *
 * Recorded on Linux 6.12. Source: include/trace/events/kvm.h. Not used: len, val.
 */
import { MMIO_READ, MMIO_UNSATISFIED_READ, MMIO_WRITE, type MmioAccess } from '../../trace/sink.js';
import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readInt, readUnsigned } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { ascii, hexadecimalAfter, startsWith } from '../text/bytes.js';

const WORDS = [
  [ascii('mmio unsatisfied-read '), MMIO_UNSATISFIED_READ],
  [ascii('mmio read '), MMIO_READ],
  [ascii('mmio write '), MMIO_WRITE],
] as const;
const GPA = ascii('gpa ');

export const kvmMmio: KvmEvent = {
  names: ['kvm_mmio'],
  neededBy: ['io', 'eventfd'],

  record: (format, { sink, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'type', 'gpa');
    const [type, gpa] = fields;
    if (type === undefined || gpa === undefined) return undefined;
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const access = readInt(view, record, type);
        if (isMmioAccess(access)) sink.mmio(timeNs, cpu, tid, access, readUnsigned(view, record, gpa));
        else sink.malformed('record');
      },
    };
  },

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      for (const [word, access] of WORDS) {
        if (!startsWith(bytes, line.argsStart, end, word)) continue;
        const gpa = hexadecimalAfter(bytes, line.argsStart, end, GPA);
        if (Number.isNaN(gpa)) return false;
        sink.mmio(line.timeNs, line.cpu, line.tid, access, gpa);
        return true;
      }
      return false;
    },
};

function isMmioAccess(type: number): type is MmioAccess {
  return type >= 0 && type <= MMIO_WRITE;
}
