/** What firmware and kernels do while they boot. */
import type { Rule } from './rule.js';

export const FIRMWARE_RULES: readonly Rule[] = [
  {
    id: 'firmware-debug-output',
    title: 'The firmware writes debug messages',
    severity: 'info',
    confidence: 'medium',
    matches: [
      {
        io: 'pio',
        addresses: [
          [0x402, 0x402],
          [0xe9, 0xe9],
        ],
        devices: /^(?:debugcon|isa-debugcon)$/,
      },
    ],
    perVcpuSecond: 500,
    isBoot: true,
    cause: 'A debug build of OVMF or SeaBIOS prints through port 0x402, one byte an exit.',
    why: 'It lengthens the boot only. If no debug console is configured, OVMF notices and stays silent.',
    changes: {
      qemu: '-drive if=pflash,format=raw,readonly=on,file=OVMF_CODE.fd',
      libvirt: "<os firmware='efi'><type>hvm</type></os>",
    },
    sources: ['https://github.com/tianocore/edk2/blob/master/OvmfPkg/README'],
  },
  {
    id: 'fw-cfg-by-port',
    title: 'Firmware reads fw_cfg byte by byte',
    severity: 'info',
    confidence: 'medium',
    // Not the whole device: a guest that uses DMA writes to its ports 0x514 to 0x51b.
    matches: [{ io: 'pio', addresses: [[0x510, 0x511]] }],
    perVcpuSecond: 500,
    isBoot: true,
    cause: 'The firmware or boot loader reads kernel, initrd or tables through port 0x511.',
    why: 'A kernel of ten megabytes takes ten million bytes through one port. With DMA (port 0x514) one request fetches all of it.',
    changes: {
      qemu: '-global fw_cfg.dma_enabled=on',
      guest: 'A firmware that knows fw_cfg DMA: SeaBIOS 1.9, OVMF of 2015, or later.',
    },
    sources: ['https://www.qemu.org/docs/master/specs/fw_cfg.html'],
  },
  {
    id: 'pci-config-by-port',
    title: 'The guest reads PCI configuration through ports',
    severity: 'info',
    confidence: 'medium',
    matches: [{ io: 'pio', addresses: [[0xcf8, 0xcff]], devices: /^(?:pci-conf|pci_config)/ }],
    perVcpuSecond: 500,
    isBoot: true,
    cause: 'The guest looks for PCI devices on an i440fx machine, which has no memory-mapped configuration space.',
    why: 'Each register takes an access to 0xcf8 and one to 0xcfc. It lengthens the boot; if it lasts, some program in the guest polls PCI registers.',
    changes: {
      qemu: '-machine q35',
      libvirt: "<os><type machine='q35'>hvm</type></os>",
      kubevirt: 'domain.machine.type: q35',
      proxmox: 'qm set VMID --machine q35',
    },
    sources: ['https://www.qemu.org/docs/master/system/i386/pc.html'],
  },
];
