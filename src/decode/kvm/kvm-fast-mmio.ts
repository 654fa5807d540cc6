/**
 * kvm_fast_mmio: the guest's write hits an ioeventfd, which KVM signals without asking the VMM (x86).
 *
 *   text     fast mmio at gpa 0xfe003000
 *   record   u64 gpa
 *
 * Source: arch/x86/kvm/trace.h (Linux 6.18).
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readUnsigned } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { ascii, hexadecimalAfter } from '../text/bytes.js';

const GPA = ascii('gpa ');

export const kvmFastMmio: KvmEvent = {
  names: ['kvm_fast_mmio'],
  neededBy: ['io', 'eventfd'],

  record: (format, { sink, bigEndian }) => {
    const [gpa] = bindFields(format, bigEndian, 'gpa');
    if (gpa === undefined) return undefined;
    return {
      needed: fieldsEnd([gpa]),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        sink.fastMmio(timeNs, cpu, tid, readUnsigned(view, record, gpa));
      },
    };
  },

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const gpa = hexadecimalAfter(bytes, line.argsStart, end, GPA);
      if (Number.isNaN(gpa)) return false;
      sink.fastMmio(line.timeNs, line.cpu, line.tid, gpa);
      return true;
    },
};
