/**
 * kvm_guest_exit and kvm_guest_enter: what kvm_exit and kvm_entry are on ppc64 with KVM HV.
 *
 *   text     VCPU 0: trap=SYSCALL pc=0xc0000000000b2c38 msr=0x8000000000009033, ceded=0
 *            VCPU 0: pc=0xc00000000000a1b4 pexcp=0x0 ceded=0
 *   record   int vcpu_id, int trap, unsigned long pc, unsigned long msr, u8 ceded
 *            int vcpu_id, unsigned long pc, unsigned long pending_exceptions, u8 ceded
 *
 * Source: arch/powerpc/kvm/trace_hv.h (Linux 6.x). Not used: pc, msr, pending_exceptions, ceded.
 */

import type { KvmEvent } from '../format/kvm-event.js';
import { fieldsEnd, readInt } from '../format/record-field.js';
import { bindFields } from '../format/record-reader.js';
import { exitReasonLabel } from '../reasons/hardware.js';
import { ReasonInterner } from '../reasons/reason-interner.js';
import { ascii, decimal, indexOf, skipWord, startsWith } from '../text/bytes.js';
import { entryReader } from './kvm-entry.js';

const VCPU = ascii('VCPU ');
const TRAP = ascii(': trap=');

export const kvmGuestExit: KvmEvent = {
  names: ['kvm_guest_exit'],
  neededBy: 'always',

  record: (format, { sink, vocabulary, bigEndian }) => {
    const fields = bindFields(format, bigEndian, 'vcpu_id', 'trap');
    const [vcpuId, trap] = fields;
    if (vcpuId === undefined || trap === undefined) return undefined;
    const reasons = new ReasonInterner(vocabulary.reasons, (code) => exitReasonLabel('ppc', code));
    return {
      needed: fieldsEnd(fields),
      read: ({ view, timeNs }, record, _end, cpu, tid) => {
        const reason = reasons.id(readInt(view, record, trap));
        sink.vmExit(timeNs, cpu, tid, readInt(view, record, vcpuId), reason, Number.NaN);
      },
    };
  },

  text:
    ({ vocabulary, sink }) =>
    (bytes, end, line) => {
      const vcpu = vcpuOf(bytes, line.argsStart, end);
      const trap = indexOf(bytes, line.argsStart, end, TRAP) + TRAP.length;
      const trapEnd = skipWord(bytes, trap, end);
      if (vcpu < 0 || trap < TRAP.length || trapEnd === trap) return false;
      const reason = vocabulary.reasons.intern(bytes, trap, trapEnd);
      sink.vmExit(line.timeNs, line.cpu, line.tid, vcpu, reason, Number.NaN);
      return true;
    },
};

export const kvmGuestEnter: KvmEvent = {
  names: ['kvm_guest_enter'],
  neededBy: ['duration'],

  record: entryReader('vcpu_id'),

  text:
    ({ sink }) =>
    (bytes, end, line) => {
      const vcpu = vcpuOf(bytes, line.argsStart, end);
      if (vcpu < 0) return false;
      sink.vmEntry(line.timeNs, line.cpu, line.tid, vcpu);
      return true;
    },
};

function vcpuOf(bytes: Uint8Array, start: number, end: number): number {
  return startsWith(bytes, start, end, VCPU) ? decimal(bytes, start + VCPU.length, end) : -1;
}
