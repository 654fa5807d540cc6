/** Interrupts, and who emulates the interrupt controllers. */
import type { Rule } from './rule.js';

export const INTERRUPT_RULES: readonly Rule[] = [
  {
    id: 'irqchip-in-qemu',
    title: 'QEMU emulates the interrupt controllers',
    severity: 'warning',
    confidence: 'high',
    matches: [
      { exits: 'qemu', reasons: ['KVM_EXIT_HLT', 'KVM_EXIT_IRQ_WINDOW_OPEN'] },
      { io: 'mmio', addresses: [[0xfee00000, 0xfee00fff]], devices: /^(?:lapic|apic-msi)$/ },
    ],
    perVcpuSecond: 100,
    when: { hasNoCost: true },
    cause: 'The VM runs with kernel-irqchip=off, so KVM has no local APIC for its vCPUs.',
    why: 'Every HLT, every interrupt window and every access to an interrupt controller goes to QEMU. With the controllers in KVM none of them does. The cost is without HLT, in which the guest is idle.',
    changes: {
      qemu: '-machine kernel-irqchip=on',
      libvirt: "<features><apic/><ioapic driver='kvm'/></features>",
    },
    sources: ['https://www.qemu.org/docs/master/system/qemu-manpage.html', 'https://libvirt.org/formatdomain.html'],
  },
  {
    id: 'split-irqchip-eoi',
    title: 'Each end of an interrupt goes to QEMU',
    severity: 'info',
    confidence: 'medium',
    matches: [{ exits: 'qemu', reasons: ['KVM_EXIT_IOAPIC_EOI'] }],
    perVcpuSecond: 500,
    cause: 'The I/O APIC is in QEMU (kernel-irqchip=split), and a device uses a level-triggered line.',
    why: 'For such a line the end of the interrupt goes to QEMU. Devices with MSI or MSI-X do not need it.',
    changes: {
      qemu: '-machine kernel-irqchip=on',
      libvirt: "<features><apic/><ioapic driver='kvm'/></features>",
    },
    sources: ['https://libvirt.org/formatdomain.html'],
  },
  {
    id: 'inter-processor-interrupts',
    title: 'vCPUs send each other interrupts, with help of KVM',
    severity: 'info',
    confidence: 'high',
    matches: [
      { exits: 'kvm', reasons: ['APIC_WRITE', 'APIC_ACCESS', 'avic_incomplete_ipi'] },
      { msrs: ['IA32_X2APIC_ICR', 'HV_X64_MSR_ICR'], direction: 'write' },
    ],
    perVcpuSecond: 5000,
    cause:
      'The target of the interrupt does not run at that moment, or the host does not virtualize interrupts in hardware.',
    why: 'With APICv, AVIC or IPI virtualization an interrupt between running vCPUs needs no exit.',
    changes: {
      host: 'kvm_intel.enable_apicv=1 or kvm_amd.avic=1, where the CPU has it.',
      qemu: '-cpu host,hv-vpindex,hv-ipi,hv-tlbflush',
      libvirt:
        "<features><hyperv mode='custom'><vpindex state='on'/><tlbflush state='on'/><ipi state='on'/></hyperv></features>",
      kubevirt: 'domain.features.hyperv: {vpindex: {}, tlbflush: {}, ipi: {}}',
    },
    sources: [
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
      'https://docs.kernel.org/virt/kvm/x86/cpuid.html',
    ],
  },
  {
    id: 'apicv-off',
    title: 'Interrupts cost exits, because something keeps APICv or AVIC off',
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['INTERRUPT_WINDOW', 'vintr', 'EOI_INDUCED', 'APIC_ACCESS', 'APIC_WRITE'] }],
    perVcpuSecond: 2000,
    when: { isApicvOff: true },
    cause:
      'A device or setting of the VM is not compatible with it: a PIT that re-injects lost ticks (PIT_REINJ), the AutoEOI of Hyper-V (HYPERV), which hv-avic among the features of -cpu avoids, or a nested hypervisor (NESTED). kvm_apicv_inhibited names it.',
    why: 'The hardware could deliver interrupts to a running guest without an exit. While APICv is off, KVM waits for the guest to accept each of them.',
    changes: {
      guest: 'NESTED: it ends when the hypervisor in the guest runs no guest any more.',
      qemu: '-global kvm-pit.lost_tick_policy=discard',
      libvirt: "<clock offset='utc'><timer name='pit' tickpolicy='discard'/></clock>",
    },
    sources: [
      'https://github.com/containers/libkrun/issues/498',
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
    ],
  },
  {
    id: 'timer-deadline',
    title: 'The guest sets its timer all the time',
    severity: 'info',
    confidence: 'high',
    matches: [{ msrs: ['IA32_TSC_DEADLINE', 'IA32_X2APIC_INIT_COUNT'], direction: 'write' }],
    perVcpuSecond: 5000,
    // Every guest has a tick: what it costs is no reason to change anything.
    when: { hasNoCost: true },
    cause: 'A program in the guest sleeps or polls with short timeouts, or the guest kernel has a fast tick.',
    why: 'Each new deadline of the local APIC timer is a write to a register that KVM emulates, and another exit when the timer fires.',
    changes: {
      guest:
        'Find the program with short timeouts (perf trace -s, strace -c); boot with nohz=on, or a kernel with a lower HZ.',
      host: 'For guests with CPUs of their own: nohz_full= for these CPUs, so that timers fire on the remaining CPUs.',
    },
    sources: ['https://github.com/nanovms/nanos/issues/1017', 'https://docs.kernel.org/timers/no_hz.html'],
  },
  {
    id: 'arm64-inter-processor-interrupts',
    title: 'KVM emulates system registers for the guest',
    severity: 'info',
    confidence: 'medium',
    matches: [{ exits: 'kvm', reasons: ['SYS64'] }],
    perVcpuSecond: 5000,
    cause: 'Mostly interrupts between vCPUs: each write to ICC_SGI1R traps.',
    why: 'A GICv4.1 sends them without KVM. Otherwise fewer and larger messages between threads help.',
    changes: { guest: 'Keep threads that talk to each other on one vCPU, or let them poll (haltpoll).' },
    sources: ['https://docs.kernel.org/virt/kvm/devices/arm-vgic-v3.html'],
  },
  {
    id: 'host-interrupts',
    title: "Interrupts of the host land on the vCPUs' CPUs",
    severity: 'info',
    confidence: 'high',
    matches: [{ exits: 'kvm', reasons: ['EXTERNAL_INTERRUPT', 'interrupt'] }],
    perVcpuSecond: 2000,
    when: { minShareOfLayer: 0.4, hasNoCost: true },
    cause: "The host's timer tick and its devices interrupt the CPUs that run this guest.",
    why: 'Each of them throws the vCPU out of its guest. It matters for guests with CPUs of their own; for any other guest it is the normal tick.',
    changes: {
      host: 'nohz_full= and isolcpus= for the CPUs of the guest, irqaffinity= for the rest.',
      libvirt: "<cputune><vcpupin vcpu='0' cpuset='2'/></cputune>",
      kubevirt: 'domain.cpu: {dedicatedCpuPlacement: true}',
      proxmox: 'qm set VMID --affinity 2-5',
    },
    sources: ['https://libvirt.org/kbase/kvm-realtime.html'],
  },
  {
    id: 'tpr-access',
    title: 'A 32-bit Windows changes its interrupt priority',
    severity: 'info',
    confidence: 'low',
    matches: [
      { exits: 'qemu', reasons: ['KVM_EXIT_TPR_ACCESS'] },
      { exits: 'kvm', reasons: ['TPR_BELOW_THRESHOLD', 'write_cr8'] },
    ],
    perVcpuSecond: 1000,
    cause: 'The guest writes the task priority register, for which its CPU has no shortcut (flexpriority).',
    why: 'Old 32-bit Windows does this at each change of its interrupt level.',
    changes: { guest: 'Use a 64-bit guest.', qemu: '-global apic-common.vapic=on' },
    sources: ['https://docs.kernel.org/virt/kvm/api.html'],
  },
];
