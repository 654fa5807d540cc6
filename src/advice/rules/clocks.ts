/** Guests that ask an emulated timer for the time. */
import type { Rule } from './rule.js';

const HYPERV_CLOCK = {
  qemu: '-cpu host,hv-relaxed,hv-vapic,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-time,+invtsc',
  libvirt:
    "<features><hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><vpindex state='on'/><runtime state='on'/>" +
    "<synic state='on'/><stimer state='on'/></hyperv></features><clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>",
  kubevirt:
    'domain.features.hyperv: {relaxed: {}, vapic: {}, vpindex: {}, runtime: {}, synic: {}, synictimer: {}}; domain.clock.timer.hyperv: {}',
  proxmox: 'qm set VMID --ostype win11',
};

export const CLOCK_RULES: readonly Rule[] = [
  {
    id: 'acpi-pm-timer',
    title: 'The guest uses the ACPI PM timer as its clock',
    severity: 'warning',
    confidence: 'high',
    matches: [
      {
        io: 'pio',
        direction: 'in',
        addresses: [
          [0x608, 0x60b],
          [0xb008, 0xb00b],
        ],
        devices: /^(?:acpi-tmr|acpi_pm_timer)$/,
      },
    ],
    perVcpuSecond: 1000,
    cause:
      'Windows without the Hyper-V clock, or Linux after it has marked its TSC unstable (often after a migration), reads this timer whenever it needs the time.',
    why:
      'Each read of port 0x608 (q35) or 0xb008 (i440fx) leaves the guest and waits for QEMU. A clock that the guest can read from memory needs no exit at all. ' +
      'If the reads stay although hv-stimer is on, the reference TSC page is missing: add invtsc, which also ties the VM to hosts of the same TSC frequency.',
    changes: {
      guest:
        'Linux: /sys/devices/system/clocksource/clocksource0/current_clocksource should be kvm-clock or tsc; look for "Marking TSC unstable" in its log.',
      ...HYPERV_CLOCK,
    },
    sources: [
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
      'https://github.com/MicrosoftDocs/Virtualization-Documentation/issues/1885',
      'https://github.com/oxidecomputer/propolis/issues/859',
      'https://github.com/harvester/harvester/issues/7724',
    ],
  },
  {
    id: 'rtc',
    title: 'The guest polls the RTC',
    severity: 'warning',
    confidence: 'high',
    matches: [{ io: 'pio', addresses: [[0x70, 0x71]], devices: /^rtc$/ }],
    perVcpuSecond: 500,
    cause: 'Windows without Hyper-V timers takes its tick, 64 to 2,048 times a second, from the RTC.',
    why: 'Each tick needs several accesses to ports 0x70 and 0x71, which QEMU answers, even while the guest is idle. Idle Windows guests fell from 30 to 40 % of a CPU to 1 to 3 % with synthetic timers.',
    changes: HYPERV_CLOCK,
    sources: [
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
      'https://github.com/OpenNebula/addon-storpool/issues/79',
    ],
  },
  {
    id: 'hpet',
    title: 'The guest reads the HPET',
    severity: 'warning',
    confidence: 'high',
    matches: [{ io: 'mmio', addresses: [[0xfed00000, 0xfed00fff]], devices: /^hpet$/ }],
    perVcpuSecond: 500,
    cause: 'The guest takes its time or its tick from the HPET, which QEMU emulates.',
    why: 'Each access to page 0xfed00000 is an exit to QEMU. Remove the HPET only together with a better clock (kvm-clock, TSC, Hyper-V timers): a Windows guest without both polls the RTC or the ACPI PM timer instead. Proxmox starts Linux guests without the HPET from machine version 10.1 on.',
    changes: {
      guest: 'Linux: use kvm-clock or tsc as clocksource.',
      qemu: '-machine hpet=off',
      libvirt: "<clock offset='utc'><timer name='hpet' present='no'/><timer name='kvmclock' present='yes'/></clock>",
      kubevirt: 'domain.clock.timer.hpet: {present: false}',
      proxmox: 'qm set VMID --ostype l26',
    },
    sources: [
      'https://www.qemu.org/docs/master/system/i386/hyperv.html',
      'https://github.com/systemd/mkosi/pull/3811',
      'https://github.com/virt-manager/virt-manager/issues/205',
    ],
  },
  {
    id: 'pit',
    title: 'The guest reads the PIT in QEMU',
    severity: 'info',
    confidence: 'medium',
    matches: [
      {
        io: 'pio',
        addresses: [
          [0x40, 0x43],
          [0x61, 0x61],
        ],
        devices: /^(?:pit|pc_speaker|pcspk)$/,
      },
    ],
    perVcpuSecond: 500,
    cause: 'The guest calibrates or ticks by the PIT, and the PIT is in QEMU rather than in KVM.',
    why: 'KVM answers ports 0x40 to 0x43 and 0x61 itself if its interrupt controller is on. That they reach QEMU means that kernel-irqchip is off or split, or that the VMM has no PIT in the kernel.',
    changes: {
      guest: 'Linux: use kvm-clock or tsc, with which it need not calibrate by the PIT.',
      qemu: '-machine kernel-irqchip=on',
      libvirt: "<features><ioapic driver='kvm'/></features>",
    },
    sources: ['https://www.qemu.org/docs/master/system/qemu-manpage.html'],
  },
];
