/**
 * Calls of the guest to the hypervisor (x86), in the interface of KVM, Hyper-V or Xen.
 *
 *   kvm_hypercall       nr 0x63 a0 0x0 a1 0x0 a2 0x0 a3 0x0
 *   kvm_hv_hypercall    code 0x2 fast var_cnt 0x0 rep_cnt 0x0 idx 0x0 in 0x0 out 0x0        (before 5.12: no var_cnt)
 *   kvm_xen_hypercall   cpl 0 nr 0x1d a0 0x0 a1 0x0 a2 0x0 a3 0x0 a4 0x0 a5 0               (before 6.3: no cpl)
 *
 * The first text was recorded on Linux 6.1. Source of the other texts: arch/x86/kvm/trace.h (6.18).
 * Not used: the arguments.
 */
import { HYPERV_HYPERCALL, KVM_HYPERCALL, XEN_HYPERCALL } from '../../../trace/sink.js';
import { numberedEvent } from './numbered-event.js';

export const kvmHypercall = numberedEvent({ name: 'kvm_hypercall', kind: KVM_HYPERCALL, field: 'nr', word: 'nr ' });

export const kvmHvHypercall = numberedEvent({
  name: 'kvm_hv_hypercall',
  kind: HYPERV_HYPERCALL,
  field: 'code',
  word: 'code ',
});

export const kvmXenHypercall = numberedEvent({
  name: 'kvm_xen_hypercall',
  kind: XEN_HYPERCALL,
  field: 'nr',
  word: 'nr ',
});
