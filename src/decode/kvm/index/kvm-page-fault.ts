/**
 * kvm_page_fault: the guest touched memory that KVM has not mapped for it, or not with the right that it needs (x86).
 *
 *   text     vcpu 1 rip 0x0 address 0x0000000000001000 error_code 0x184
 *            address 1000 error_code 184                                       (before 5.19: no vcpu, no rip)
 *
 * The first text was recorded on Linux 6.1 with VMX. There error_code is the exit qualification of an EPT violation, on
 * SVM and with shadow paging it is the hardware's page fault error code (count/indices/page-faults.ts). All bits that
 * are used are among the lowest nine. Source: arch/x86/kvm/trace.h.
 */
import { PAGE_FAULT } from '../../../trace/sink.js';
import { numberedEvent } from './numbered-event.js';

const LOW_BITS = 0x1ff;

export const kvmPageFault = numberedEvent({
  name: 'kvm_page_fault',
  kind: PAGE_FAULT,
  field: 'error_code',
  word: 'error_code ',
  mask: LOW_BITS,
});
