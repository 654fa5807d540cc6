/**
 * Devices at the well-known addresses of a PC, and which of them KVM can answer for itself.
 *
 * Sources: QEMU 7.2 to 10 (hw/i386/pc.c, hw/isa, hw/acpi/{piix4,ich9}.c, hw/pci-host, hw/nvram/fw_cfg.c,
 * hw/char/debugcon.c), KVM's in-kernel devices in arch/x86/kvm/{i8259,i8254,ioapic,lapic}.c, and the ISA port list of
 * Linux (arch/x86/kernel/setup.c). The firmware chooses the addresses of PCI devices: ports from 0xc000 and memory from
 * 0xc0000000 on have no fixed device.
 */
import type { AddressRange, DeviceRanges } from '../../trace/device-ranges.js';
import { PAGE_BYTES } from './io-keys.js';

interface PcRange extends AddressRange {
  /**
   * True if KVM may take a write here without an ioeventfd: for a device of its own (with kernel_irqchip=on; the split
   * one keeps only the local APIC), or to collect it for QEMU (coalesced: hw/rtc/mc146818rtc.c, hw/pci-host,
   * hw/display/vga.c).
   */
  readonly isInKernel?: true;
}

const PC_PORTS: readonly PcRange[] = [
  { first: 0x00, last: 0x0f, device: 'dma1' },
  { first: 0x20, last: 0x21, device: 'pic1', isInKernel: true },
  { first: 0x40, last: 0x43, device: 'pit', isInKernel: true },
  { first: 0x60, last: 0x60, device: 'i8042' },
  { first: 0x61, last: 0x61, device: 'pc_speaker', isInKernel: true },
  { first: 0x64, last: 0x64, device: 'i8042' },
  { first: 0x70, last: 0x70, device: 'rtc', isInKernel: true },
  { first: 0x71, last: 0x71, device: 'rtc' },
  { first: 0x80, last: 0x80, device: 'post_code' },
  { first: 0x81, last: 0x8f, device: 'dma_page' },
  { first: 0x92, last: 0x92, device: 'port92' },
  { first: 0xa0, last: 0xa1, device: 'pic2', isInKernel: true },
  { first: 0xb2, last: 0xb3, device: 'apm_smi' },
  { first: 0xc0, last: 0xdf, device: 'dma2' },
  { first: 0xe9, last: 0xe9, device: 'debugcon' },
  { first: 0xf0, last: 0xf0, device: 'fpu' },
  { first: 0x170, last: 0x177, device: 'ide2' },
  { first: 0x1ce, last: 0x1d0, device: 'bochs_vbe' },
  { first: 0x1f0, last: 0x1f7, device: 'ide1' },
  { first: 0x278, last: 0x27f, device: 'parallel2' },
  { first: 0x2e8, last: 0x2ef, device: 'serial4' },
  { first: 0x2f8, last: 0x2ff, device: 'serial2' },
  { first: 0x376, last: 0x376, device: 'ide2' },
  { first: 0x378, last: 0x37f, device: 'parallel1' },
  { first: 0x3b0, last: 0x3df, device: 'vga' },
  { first: 0x3e8, last: 0x3ef, device: 'serial3' },
  { first: 0x3f0, last: 0x3f5, device: 'floppy' },
  { first: 0x3f6, last: 0x3f6, device: 'ide1' },
  { first: 0x3f7, last: 0x3f7, device: 'floppy' },
  { first: 0x3f8, last: 0x3ff, device: 'serial1' },
  { first: 0x402, last: 0x402, device: 'debugcon' },
  { first: 0x4d0, last: 0x4d1, device: 'pic_elcr', isInKernel: true },
  { first: 0x501, last: 0x501, device: 'debug_exit' },
  { first: 0x510, last: 0x51b, device: 'fw_cfg' },
  { first: 0x600, last: 0x607, device: 'acpi_pm' },
  { first: 0x608, last: 0x60b, device: 'acpi_pm_timer' },
  { first: 0x60c, last: 0x67f, device: 'acpi_pm' },
  { first: 0x700, last: 0x73f, device: 'smbus' },
  { first: 0xae00, last: 0xae0f, device: 'acpi_pci_hotplug' },
  { first: 0xaf00, last: 0xaf1f, device: 'acpi_cpu_hotplug' },
  { first: 0xafe0, last: 0xafe3, device: 'acpi_gpe' },
  { first: 0xb000, last: 0xb007, device: 'acpi_pm' },
  { first: 0xb008, last: 0xb00b, device: 'acpi_pm_timer' },
  { first: 0xb00c, last: 0xb03f, device: 'acpi_pm' },
  { first: 0xb100, last: 0xb13f, device: 'smbus' },
  { first: 0xcf8, last: 0xcf8, device: 'pci_config', isInKernel: true },
  { first: 0xcf9, last: 0xcf9, device: 'reset_control' },
  { first: 0xcfa, last: 0xcff, device: 'pci_config' },
  { first: 0x5658, last: 0x5659, device: 'vmport' },
].sort((a, b) => a.first - b.first) as PcRange[];

const PC_MEMORY: readonly PcRange[] = [
  { first: 0x000a0000, last: 0x000bffff, device: 'vga', isInKernel: true },
  { first: 0xb0000000, last: 0xbfffffff, device: 'pci_mmconfig' },
  { first: 0xfec00000, last: 0xfec00fff, device: 'ioapic', isInKernel: true },
  { first: 0xfed00000, last: 0xfed00fff, device: 'hpet' },
  { first: 0xfed1c000, last: 0xfed1ffff, device: 'ich9_rcba' },
  { first: 0xfed40000, last: 0xfed44fff, device: 'tpm' },
  { first: 0xfee00000, last: 0xfee00fff, device: 'lapic', isInKernel: true },
  { first: 0xffc00000, last: 0xffffffff, device: 'flash' },
];

/**
 * Name of the device at a port or in a page of guest physical memory. `own` are the devices that the VM itself
 * reported; they override the well-known ones. '' if the device is unknown.
 */
export function deviceAt(mmio: boolean, address: number, own?: DeviceRanges): string {
  const ownName = mmio ? mainDeviceOfPage(own?.memory ?? [], address) : findRange(own?.ports ?? [], address)?.device;
  return ownName ?? findRange(mmio ? PC_MEMORY : PC_PORTS, address)?.device ?? '';
}

/** The device that has most of a page, as several can share one. */
function mainDeviceOfPage(ranges: readonly AddressRange[], page: number): string | undefined {
  const bytes = new Map<string, number>();
  for (let at = indexFrom(ranges, page); at < ranges.length; at++) {
    const { first, last, device } = ranges[at] as AddressRange;
    if (first >= page + PAGE_BYTES) break;
    const shared = Math.min(last, page + PAGE_BYTES - 1) - Math.max(first, page) + 1;
    bytes.set(device, (bytes.get(device) ?? 0) + shared);
  }
  return [...bytes].sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** True if KVM may take a write at this address without an ioeventfd. */
export function isKernelDevice(mmio: boolean, address: number): boolean {
  return findRange(mmio ? PC_MEMORY : PC_PORTS, address)?.isInKernel === true;
}

function findRange<T extends AddressRange>(ranges: readonly T[], address: number): T | undefined {
  const range = ranges[indexFrom(ranges, address)];
  return range !== undefined && range.first <= address ? range : undefined;
}

/** Index of the first range that does not end before the address; the ranges are sorted and do not overlap. */
function indexFrom(ranges: readonly AddressRange[], address: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as AddressRange).last < address) low = middle + 1;
    else high = middle;
  }
  return low;
}
