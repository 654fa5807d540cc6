/**
 * Guests that use one emulated device too much. They look for the device as an operating system does, so the same guest
 * does not use it in a VM that does not have it.
 */
import { pciWrite } from '../../support/guest/device-steps.js';
import type { Step } from '../../support/guest/steps.js';

export interface DeviceGuest {
  readonly name: string;
  /** The only finding. */
  readonly advice: string;
  /** Arguments that give QEMU the device; DISK is a disk image. */
  readonly qemu: string;
  readonly steps: readonly Step[];
  /** Exits in each round that the guest counts; undefined if the guest does not count them. */
  readonly exitsPerRound?: number;
  /** Exits to QEMU that the finding is about; default: accesses to ports and memory. */
  readonly exits?: readonly string[];
  /** Such exits in which the vCPU sleeps, so that they are no cost. */
  readonly sleepsIn?: readonly string[];
  /** Arguments of the cured VM; default: those that the advice prints. */
  readonly cured?: string;
}

const HALT: Step = { halt: true };
/** What reads from ports without a device are. */
const NO_PORT = { mask: 0xff, absent: 0xff };
/** What reads from memory without a device are. */
const NO_MEMORY = { mask: 0xff, absent: 0 };
/** Never the case. */
const STAYS = { mask: 0, absent: 1 };

/** The first free slot of QEMU's PC. */
const SLOT = 2;
const MEMORY_BAR = 0xfeb80000;
const PORT_BAR = 0xc000;
/** Writes a base address of the device in the slot, and lets it answer. */
const mapped = (bar: number, address: number): Step[] => [
  ...pciWrite(SLOT, 0x10 + 4 * bar, address),
  ...pciWrite(SLOT, 0x04, 7),
];
/** Its INTA on a q35, whose I/O APIC has the lines of PCI as pins (QEMU, hw/isa/lpc_ich9.c). */
const Q35_E1000 = `-machine q35 -netdev user,id=lan -device e1000,netdev=lan,addr=${SLOT}`;
const Q35_PIN = 20 + (SLOT % 4);
/** Registers of an e1000, and an interrupt that it makes without a cause of its own. */
const E1000 = { interruptCauseSet: 0xc8, interruptMask: 0xd0, linkChanged: 4 };
const PIC_MASK = 0x21;
const INTERFACE_OF_HYPERV = 'hyperv';
const VIRTIO_DRIVER_OK = 7;
/** What guest tools ask for first. */
const VMWARE_VERSION = { eax: 0x564d5868, ecx: 10 };

export const DEVICE_GUESTS: readonly DeviceGuest[] = [
  {
    name: 'ACPI PM timer',
    advice: 'acpi-pm-timer',
    qemu: '-cpu host',
    steps: [
      // The base address of PIIX4's power management, and the bit that enables it.
      ...pciWrite(1, 0x40, 0xb001, 3),
      ...pciWrite(1, 0x80, 1, 3),
      { poll: { port: 0xb008, ...STAYS, unless: INTERFACE_OF_HYPERV } },
      HALT,
    ],
    exitsPerRound: 1,
  },
  {
    name: 'RTC',
    advice: 'rtc',
    qemu: '-cpu host',
    steps: [{ poll: { port: 0x71, ...STAYS, unless: INTERFACE_OF_HYPERV } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'HPET',
    advice: 'hpet',
    qemu: '-machine hpet=on',
    steps: [{ poll: { memory: 0xfed00000, ...NO_MEMORY } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'PIT in QEMU',
    advice: 'pit',
    qemu: '-machine kernel-irqchip=off',
    steps: [{ poll: { port: 0x40, ...STAYS } }],
    exitsPerRound: 1,
  },
  {
    name: 'serial port',
    advice: 'serial-console',
    qemu: '-serial null',
    steps: [{ poll: { port: 0x3fd, ...NO_PORT, print: 0x3f8 } }, HALT],
    exitsPerRound: 2,
  },
  {
    name: 'VGA',
    advice: 'vga-text',
    qemu: '-device VGA',
    steps: [{ poll: { port: 0x3cc, ...NO_PORT } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'IDE disk',
    advice: 'emulated-disk',
    qemu: '-drive file=DISK,format=qcow2,if=ide',
    // Without a disk, no bit of the status is set.
    steps: [{ poll: { port: 0x1f7, mask: 0x40, absent: 0 } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'AHCI disk',
    advice: 'emulated-disk',
    qemu: '-device ich9-ahci,id=ahci -drive file=DISK,format=qcow2,if=none,id=sata0 -device ide-hd,drive=sata0,bus=ahci.0',
    steps: [...mapped(5, MEMORY_BAR), { poll: { memory: MEMORY_BAR, ...NO_MEMORY } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'e1000',
    advice: 'emulated-network-card',
    qemu: '-netdev user,id=lan -device e1000,netdev=lan',
    steps: [...mapped(0, MEMORY_BAR), { poll: { memory: MEMORY_BAR + 8, ...NO_MEMORY } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'rtl8139',
    advice: 'emulated-network-card',
    qemu: '-netdev user,id=lan -device rtl8139,netdev=lan',
    steps: [...mapped(0, PORT_BAR + 1), { poll: { port: PORT_BAR + 0x37, ...NO_PORT } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'virtio without ioeventfd',
    advice: 'virtio-kick-to-qemu',
    qemu: '-netdev user,id=lan -device virtio-net-pci,netdev=lan,ioeventfd=off',
    steps: [
      ...mapped(0, PORT_BAR + 1),
      { outByte: PORT_BAR + 0x12, value: VIRTIO_DRIVER_OK },
      { kick: PORT_BAR + 0x10 },
    ],
    exitsPerRound: 1,
  },
  {
    name: 'tablet at a UHCI controller',
    advice: 'usb-polling',
    qemu: '-device piix3-usb-uhci,id=uhci -device usb-tablet,bus=uhci.0',
    steps: [...mapped(4, PORT_BAR + 1), { poll: { port: PORT_BAR + 0xc, ...NO_PORT } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'VMware backdoor',
    advice: 'vmware-backdoor',
    qemu: '-machine vmport=on',
    steps: [{ poll: { port: 0x5658, ...NO_PORT, ask: VMWARE_VERSION } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'PS/2 controller',
    advice: 'ps2-polling',
    qemu: '-machine i8042=on',
    steps: [{ poll: { port: 0x64, ...NO_PORT } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'interrupt controllers in QEMU',
    advice: 'irqchip-in-qemu',
    qemu: '-machine kernel-irqchip=off',
    steps: [{ bursts: { out: 0x80, times: 1, everyMs: 2 } }],
    // The only accesses to memory are those to the local APIC, at the end of each interrupt.
    exits: ['KVM_EXIT_IRQ_WINDOW_OPEN', 'KVM_EXIT_MMIO'],
    sleepsIn: ['KVM_EXIT_HLT'],
  },
  {
    name: 'level-triggered interrupts',
    advice: 'split-irqchip-eoi',
    qemu: `${Q35_E1000} -machine kernel-irqchip=split`,
    steps: [
      { outByte: PIC_MASK, value: 0xff },
      ...mapped(0, MEMORY_BAR),
      { storeLong: MEMORY_BAR + E1000.interruptMask, value: E1000.linkChanged },
      {
        levelInterrupts: { pin: Q35_PIN, raise: [MEMORY_BAR + E1000.interruptCauseSet, E1000.linkChanged] },
      },
    ],
    exits: ['KVM_EXIT_IOAPIC_EOI'],
    exitsPerRound: 1,
    cured: `${Q35_E1000} -machine kernel-irqchip=on`,
  },
  {
    name: 'debug console of a firmware',
    advice: 'firmware-debug-output',
    qemu: '-chardev null,id=log -device isa-debugcon,iobase=0xe9,chardev=log',
    steps: [{ poll: { port: 0xe9, ...NO_PORT } }, HALT],
    exitsPerRound: 1,
    cured: '',
  },
  {
    name: 'fw_cfg without DMA',
    advice: 'fw-cfg-by-port',
    qemu: '-global fw_cfg.dma_enabled=off',
    // Where there is DMA, its address register reads as "QEMU CFG".
    steps: [{ poll: { port: 0x511, ...STAYS, unless: { port: 0x514, is: 'Q'.charCodeAt(0) } } }, HALT],
    exitsPerRound: 1,
  },
  {
    name: 'PCI configuration by port',
    advice: 'pci-config-by-port',
    qemu: '-machine pc',
    // The host bridge of q35 has device id 29c0.
    steps: [{ outLong: 0xcf8, value: 0x80000000 }, { poll: { port: 0xcfe, mask: 0xff, absent: 0xc0 } }, HALT],
    exitsPerRound: 1,
  },
];
