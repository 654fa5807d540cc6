/**
 * kvm_msi_set_irq: a message-signalled interrupt is injected into a VM.
 *
 *   text     dst 0 vec 37 (Fixed|physical|edge)
 *   record   __u64 address, __u64 data
 *
 * Source: include/trace/events/kvm.h (Linux 6.18). Only the thread that injects the interrupt is used; the destination
 * and the vector are not read.
 */
import type { KvmEvent } from '../format/kvm-event.js';

export const kvmMsiSetIrq: KvmEvent = {
  names: ['kvm_msi_set_irq'],
  neededBy: ['eventfd'],

  record: (_format, { sink }) => ({
    needed: 0,
    read: ({ timeNs }, _record, _end, cpu, tid) => sink.interrupt(timeNs, cpu, tid),
  }),

  text:
    ({ sink }) =>
    (_bytes, _end, line) => {
      sink.interrupt(line.timeNs, line.cpu, line.tid);
      return true;
    },
};
