/** Keyboards, mice and what hypervisors offer to guest tools. */
import type { Rule } from './rule.js';

export const INPUT_RULES: readonly Rule[] = [
  {
    id: 'usb-polling',
    title: 'A USB controller is polled',
    severity: 'info',
    confidence: 'high',
    matches: [
      { io: 'pio', devices: /^(?:uhci|ohci|ehci)/ },
      { io: 'mmio', devices: /^(?:uhci|ohci|ehci|operational|capabilities|ports)/ },
    ],
    perVcpuSecond: 50,
    when: { hasNoCost: true },
    cause:
      'A USB tablet or keyboard hangs on a UHCI or EHCI controller, which works by polling, even if it is not used.',
    why: 'The controller interrupts the guest up to a thousand times a second, so the vCPU and QEMU never sleep. xHCI and virtio input need no polling.',
    changes: {
      qemu: '-device qemu-xhci -device virtio-tablet-pci',
      libvirt: "<devices><controller type='usb' model='qemu-xhci'/><input type='tablet' bus='virtio'/></devices>",
      kubevirt: 'domain.devices.inputs: [{type: tablet, bus: virtio, name: tablet}]',
      proxmox: 'qm set VMID --tablet 0',
    },
    sources: ['https://www.kraxel.org/blog/2014/03/qemu-usb-tablet-cpu-overhead/'],
  },
  {
    id: 'vmware-backdoor',
    title: 'The guest asks the VMware backdoor',
    severity: 'info',
    confidence: 'medium',
    matches: [{ io: 'pio', addresses: [[0x5658, 0x5659]], devices: /^vmport$/ }],
    perVcpuSecond: 100,
    cause: 'open-vm-tools or a vmmouse driver in the guest believes that it runs on VMware, and polls port 0x5658.',
    why: 'Each question is an exit to QEMU.',
    changes: {
      guest: 'Remove open-vm-tools.',
      qemu: '-machine vmport=off',
      libvirt: "<features><vmport state='off'/></features>",
    },
    sources: ['https://github.com/felixrieseberg/windows95/pull/380', 'https://libvirt.org/formatdomain.html'],
  },
  {
    id: 'ps2-polling',
    title: 'The guest polls the PS/2 controller',
    severity: 'info',
    confidence: 'low',
    matches: [
      {
        io: 'pio',
        addresses: [
          [0x60, 0x60],
          [0x64, 0x64],
        ],
        devices: /^i8042/,
      },
    ],
    perVcpuSecond: 500,
    cause: 'A driver waits in a loop for the keyboard controller, or keyboard and mouse are used through it.',
    why: 'Each look at port 0x64 is an exit to QEMU.',
    changes: {
      qemu: '-machine i8042=off -device virtio-keyboard-pci',
      libvirt: "<devices><input type='keyboard' bus='virtio'/></devices>",
    },
    sources: ['https://www.qemu.org/docs/master/system/qemu-manpage.html'],
  },
];
