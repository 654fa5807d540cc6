import { HYPERV_HYPERCALL, type IndexKind, KVM_HYPERCALL, XEN_HYPERCALL } from '../../trace/sink.js';

/** include/uapi/linux/kvm_para.h and arch/x86/include/uapi/asm/kvm_para.h, Linux 6.18. */
const KVM: ReadonlyMap<number, string> = new Map([
  [1, 'KVM_HC_VAPIC_POLL_IRQ'],
  [2, 'KVM_HC_MMU_OP'],
  [5, 'KVM_HC_KICK_CPU'],
  [9, 'KVM_HC_CLOCK_PAIRING'],
  [10, 'KVM_HC_SEND_IPI'],
  [11, 'KVM_HC_SCHED_YIELD'],
  [12, 'KVM_HC_MAP_GPA_RANGE'],
]);

/** Hypervisor Top-Level Functional Specification, appendix A; include/hyperv/hvgdk_mini.h, Linux 6.18. */
const HYPERV: ReadonlyMap<number, string> = new Map([
  [0x02, 'HvCallFlushVirtualAddressSpace'],
  [0x03, 'HvCallFlushVirtualAddressList'],
  [0x08, 'HvCallNotifyLongSpinWait'],
  [0x0b, 'HvCallSendSyntheticClusterIpi'],
  [0x13, 'HvCallFlushVirtualAddressSpaceEx'],
  [0x14, 'HvCallFlushVirtualAddressListEx'],
  [0x15, 'HvCallSendSyntheticClusterIpiEx'],
  [0x50, 'HvCallGetVpRegisters'],
  [0x51, 'HvCallSetVpRegisters'],
  [0x5c, 'HvCallPostMessage'],
  [0x5d, 'HvCallSignalEvent'],
  [0x69, 'HvCallPostDebugData'],
  [0x6a, 'HvCallRetrieveDebugData'],
  [0x6b, 'HvCallResetDebugSession'],
  [0xaf, 'HvCallFlushGuestPhysicalAddressSpace'],
  [0xb0, 'HvCallFlushGuestPhysicalAddressList'],
]);

/** include/xen/interface/xen.h, Linux 6.18. */
const XEN: ReadonlyMap<number, string> = new Map([
  [12, 'memory_op'],
  [17, 'xen_version'],
  [18, 'console_io'],
  [20, 'grant_table_op'],
  [24, 'vcpu_op'],
  [29, 'sched_op'],
  [32, 'event_channel_op'],
  [33, 'physdev_op'],
  [34, 'hvm_op'],
]);

/** The interface of a kind of hypercall, and the names of its numbers. */
export const HYPERCALLS: ReadonlyMap<
  IndexKind,
  { readonly interface: 'kvm' | 'hyperv' | 'xen'; readonly names: ReadonlyMap<number, string> }
> = new Map([
  [KVM_HYPERCALL, { interface: 'kvm', names: KVM }],
  [HYPERV_HYPERCALL, { interface: 'hyperv', names: HYPERV }],
  [XEN_HYPERCALL, { interface: 'xen', names: XEN }],
]);
