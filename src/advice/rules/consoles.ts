/** Guests that print through emulated hardware. */
import type { Rule } from './rule.js';

export const CONSOLE_RULES: readonly Rule[] = [
  {
    id: 'serial-console',
    title: 'The guest writes to an emulated serial port',
    severity: 'warning',
    confidence: 'high',
    matches: [
      {
        io: 'pio',
        addresses: [
          [0x3f8, 0x3ff],
          [0x2f8, 0x2ff],
          [0x3e8, 0x3ef],
          [0x2e8, 0x2ef],
        ],
        devices: /^serial/,
      },
    ],
    perVcpuSecond: 1000,
    cause: 'The guest sends its console or log to an ISA serial port, one byte at a time.',
    why: 'A byte costs one or two exits to QEMU, one to ask whether the port is ready and one to write. A boot log of some ten thousand bytes so costs hundreds of milliseconds. A virtio console takes whole lines in one kick.',
    changes: {
      guest: 'Linux: console=hvc0, `quiet`, a lower loglevel; no debug output to ttyS0.',
      qemu: '-device virtio-serial-pci -chardev null,id=console0 -device virtconsole,chardev=console0',
      libvirt: "<devices><console type='pty'><target type='virtio'/></console></devices>",
      kubevirt: 'domain.devices.autoattachSerialConsole: false',
      proxmox: 'qm set VMID --delete serial0',
    },
    sources: [
      'https://github.com/tinylabscom/mvm/pull/2619',
      'https://github.com/kata-containers/kata-containers/issues/2936',
    ],
  },
  {
    id: 'vga-text',
    title: 'The guest draws on an emulated VGA card',
    severity: 'info',
    confidence: 'medium',
    matches: [
      { io: 'mmio', addresses: [[0xa0000, 0xbffff]], devices: /^vga/ },
      { io: 'pio', addresses: [[0x3b0, 0x3df]], devices: /^vga/ },
    ],
    perVcpuSecond: 1000,
    cause: 'A text console, an installer or a boot menu writes to the planes and registers of a VGA card.',
    why: 'Writes to 0xa0000 to 0xbffff and to ports 0x3b0 to 0x3df are emulated one by one. KVM collects some of the writes (coalesced MMIO), but reads and register accesses go to QEMU.',
    changes: {
      guest: 'Linux: a framebuffer console of virtio-gpu, or no console on the screen.',
      qemu: '-vga none -device virtio-gpu-pci',
      libvirt: "<devices><video><model type='virtio'/></video></devices>",
      kubevirt: 'domain.devices.autoattachGraphicsDevice: false',
      proxmox: 'qm set VMID --vga virtio',
    },
    sources: ['https://www.qemu.org/docs/master/system/qemu-manpage.html'],
  },
];
