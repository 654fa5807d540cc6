/**
 * kvm_s390_sie_exit and kvm_s390_sie_enter: what kvm_exit and kvm_entry are on other architectures.
 *
 *   text     02[0000000180000000-000000000011a4c0]: exit sie icptcode 4 (Instruction)
 *            02[0000000180000000-000000000011a4c0]: entering sie flags 0
 *   record   int id, unsigned long pswmask, unsigned long pswaddr, u8 icptcode
 *            int id, unsigned long pswmask, unsigned long pswaddr, int cpuflags
 *
 * Source: arch/s390/kvm/trace.h (Linux 6.18). The text begins with the vCPU's id and its PSW.
 * Not used: pswmask, pswaddr, cpuflags.
 */
import type { Vocabulary } from '../../trace/sink.js';
import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readInt, readUnsigned } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { exitReasonLabel } from '../reasons/hardware.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { ascii, decimal, indexOf } from '../text/bytes.js';
import { entryReader } from './kvm-entry.js';

const ICPTCODE = ascii('exit sie icptcode ');

export const kvmS390SieExit: KvmEvent = {
  names: ['kvm_s390_sie_exit'],
  neededBy: 'always',

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'id', 'icptcode');
    const [id, icptcode] = fields;
    if (id === undefined || icptcode === undefined) return undefined;
    const reasons = reasonsOf(vocabulary);
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const reason = reasons.id(readUnsigned(view, record, icptcode));
        sink.vmExit(timeNs, cpu, tid, readInt(view, record, id), reason, Number.NaN);
      },
    };
  },

  text: ({ vocabulary, sink }) => {
    const reasons = reasonsOf(vocabulary);
    return (bytes, end, line) => {
      const at = indexOf(bytes, line.argsStart, end, ICPTCODE);
      const code = at < 0 ? -1 : decimal(bytes, at + ICPTCODE.length, end);
      if (code < 0) return false;
      const vcpu = decimal(bytes, line.argsStart, end);
      sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reasons.id(code), Number.NaN);
      return true;
    };
  },
};

function reasonsOf({ reasons }: Vocabulary): ReasonInterner {
  return new ReasonInterner(reasons, (code) => exitReasonLabel('s390', code));
}

export const kvmS390SieEnter: KvmEvent = {
  names: ['kvm_s390_sie_enter'],
  neededBy: ['duration'],

  record: entryReader('id'),

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const vcpu = decimal(bytes, line.argsStart, end);
      if (vcpu < 0) return false;
      sink.vmEntry(line.timeNs, line.cpu, line.tid, vcpu);
      return true;
    },
};
