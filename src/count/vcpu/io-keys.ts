import { KINDS, kindOf, MAX_KEY } from '../counters/key-table.js';

export type Bus = 'pio' | 'mmio';
export type Direction = 'in' | 'out';

/** MMIO accesses are counted by page of this size. */
export const PAGE_BYTES = 4096;
const MMIO = 8;
const OUT = 4;
const UNPROVEN = 2;
const QEMU = 1;
const PROVEN_KERNEL = 3;
/** Number of values of the bits that say who answered. */
const LAYERS = 4;

/** All pages from here on have one key. No guest has memory there: addresses have at most 52 bits on x86 and arm64. */
const LAST_PAGE = MAX_KEY;

/** The page of a guest physical address. */
export function pageOf(gpa: number): number {
  return gpa < LAST_PAGE ? floorTo(gpa, PAGE_BYTES) : LAST_PAGE;
}

/**
 * Bus, direction, layer and address in one number, so that a look-up allocates nothing. A page's low bits are 0, so the
 * kind takes their place, and every key is exact.
 * @param address a port, or the address of an MMIO page
 */
export function ioKey(mmio: boolean, out: boolean, qemu: boolean, address: number): number {
  return (mmio ? address + MMIO : address * KINDS) + (out ? OUT : 0) + (qemu ? QEMU : 0);
}

/** The same key for an access of which the trace does not prove who answered it. */
export function unproven(key: number): number {
  return floorTo(key, LAYERS) + UNPROVEN;
}

/** The key of an access that the kernel certainly answered, in any trace (kvm_fast_mmio). */
export function provenKernel(key: number): number {
  return floorTo(key, LAYERS) + PROVEN_KERNEL;
}

/**
 * The key under which accesses are shown.
 * @param showsUserspaceExits false for a trace without kvm_userspace_exit, which proves little of the kernel
 */
export function shownKey(key: number, showsUserspaceExits: boolean): number {
  const layer = key % LAYERS;
  if (layer === PROVEN_KERNEL) return key - PROVEN_KERNEL;
  return layer === 0 && !showsUserspaceExits ? key + UNPROVEN : key;
}

/** Who answered an access: the kernel, userspace, or `unknown` where the trace does not prove it. */
export type IoLayer = 'kvm' | 'qemu' | 'unknown';

export interface IoAddress {
  readonly bus: Bus;
  readonly direction: Direction;
  readonly layer: IoLayer;
  readonly address: number;
}

export function decodeIoKey(key: number): IoAddress {
  const flags = kindOf(key);
  return {
    bus: flags & MMIO ? 'mmio' : 'pio',
    direction: flags & OUT ? 'out' : 'in',
    layer: flags & UNPROVEN ? 'unknown' : flags & QEMU ? 'qemu' : 'kvm',
    address: flags & MMIO ? key - flags : Math.floor(key / KINDS),
  };
}

/** Rounds down to a multiple of a power of two, in half the time that the remainder (`%`) of doubles takes. */
function floorTo(value: number, powerOfTwo: number): number {
  return Math.floor(value / powerOfTwo) * powerOfTwo;
}
