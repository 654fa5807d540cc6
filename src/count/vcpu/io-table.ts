export type Bus = 'pio' | 'mmio';
export type Direction = 'in' | 'out';

/** MMIO accesses are counted by page of this size. */
export const PAGE_BYTES = 4096;
/** Addresses counted separately for each vCPU by default; most vCPUs access fewer. */
const DEFAULT_CAPACITY = 64;
const INITIAL_CAPACITY = 8;
/** Number of kinds: combinations of bus, direction and layer. */
export const IO_KINDS = 16;
const MMIO = 8;
const OUT = 4;
const UNPROVEN = 2;
const QEMU = 1;
const PROVEN_KERNEL = 3;

/**
 * All pages from this one on are counted together, without their address: the keys of pages above it would not be
 * exact. No guest has memory there; physical addresses have at most 52 bits on x86 and arm64.
 */
const BEYOND = 2 ** 53 - PAGE_BYTES;

/** The page of a guest physical address. */
export function pageOf(gpa: number): number {
  return gpa < BEYOND ? gpa - (gpa % PAGE_BYTES) : BEYOND;
}

/**
 * Bus, direction, layer and address in one number, so that a look-up allocates nothing. A page's low bits are 0, so the
 * kind takes their place, and every key is exact.
 * @param address a port, or the address of an MMIO page
 */
export function ioKey(mmio: boolean, out: boolean, qemu: boolean, address: number): number {
  return (mmio ? address + MMIO : address * IO_KINDS) + (out ? OUT : 0) + (qemu ? QEMU : 0);
}

/** The same key for an access of which the trace does not prove who answered it. */
export function unproven(key: number): number {
  return key - (key % 4) + UNPROVEN;
}

/** The key of an access that the kernel certainly answered, in any trace (kvm_fast_mmio). */
export function provenKernel(key: number): number {
  return key - (key % 4) + PROVEN_KERNEL;
}

/**
 * The key under which accesses are shown.
 * @param showsUserspaceExits false for a trace without kvm_userspace_exit, which proves little of the kernel
 */
export function shownKey(key: number, showsUserspaceExits: boolean): number {
  const layer = key % 4;
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
  const flags = ioKind(key);
  return {
    bus: flags & MMIO ? 'mmio' : 'pio',
    direction: flags & OUT ? 'out' : 'in',
    layer: flags & UNPROVEN ? 'unknown' : flags & QEMU ? 'qemu' : 'kvm',
    address: flags & MMIO ? key - flags : Math.floor(key / IO_KINDS),
  };
}

/** Kind of a key, from 0 to 15: the key without its address. */
export function ioKind(key: number): number {
  return key % IO_KINDS;
}

/**
 * Accesses of one vCPU by address, in bounded memory: the space-saving algorithm (Metwally, Agrawal, El Abbadi 2005)
 * with exact totals. Accesses to addresses that are not in the table, or no longer, are in {@link otherCounts}.
 */
export class IoTable {
  /** Key -> index in the arrays. */
  readonly #slots = new Map<number, number>();
  readonly #capacity: number;
  #keys: Float64Array;
  /** Accesses since the key entered the table. */
  #counts: Float64Array;
  /** Count that a key inherited from the key it replaced, by space-saving's rule. Empty until the first replacement. */
  #credits = new Float64Array(0);
  /** Accesses to addresses that are not in the table, by kind. */
  readonly otherCounts = new Float64Array(IO_KINDS);
  #latestKey = -1;
  #latestSlot = 0;

  constructor(capacity = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
    const length = Math.min(capacity, INITIAL_CAPACITY);
    this.#keys = new Float64Array(length);
    this.#counts = new Float64Array(length);
  }

  add(key: number): void {
    if (key !== this.#latestKey && !this.#select(key)) return;
    this.#counts[this.#latestSlot] = (this.#counts[this.#latestSlot] as number) + 1;
  }

  /** Adds the counts of `from`. */
  absorb(from: IoTable): void {
    // No key in a table is beyond the limit of exact keys, so each gets a slot.
    for (const [key, count] of from.entries()) {
      this.add(key);
      this.#counts[this.#latestSlot] = (this.#counts[this.#latestSlot] as number) + count - 1;
    }
    from.otherCounts.forEach((count, kind) => {
      this.otherCounts[kind] = (this.otherCounts[kind] as number) + count;
    });
  }

  *entries(): IterableIterator<readonly [key: number, count: number]> {
    for (const [key, slot] of this.#slots) yield [key, this.#counts[slot] as number];
  }

  /** False if the key is counted without its address, which was done then. */
  #select(key: number): boolean {
    if (key >= BEYOND) {
      const kind = ioKind(key);
      this.otherCounts[kind] = (this.otherCounts[kind] as number) + 1;
      return false;
    }
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#slots.size < this.#capacity ? this.#unusedSlot() : this.#evict();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#counts[slot] = 0;
    }
    this.#latestKey = key;
    this.#latestSlot = slot;
    return true;
  }

  #unusedSlot(): number {
    const slot = this.#slots.size;
    if (slot < this.#keys.length) return slot;
    const length = Math.min(this.#capacity, this.#keys.length * 2);
    this.#keys = longer(this.#keys, length);
    this.#counts = longer(this.#counts, length);
    return slot;
  }

  /** Removes the least used key. Returns its slot, in which its count stays as a credit for the next key. */
  #evict(): number {
    if (this.#credits.length === 0) this.#credits = new Float64Array(this.#capacity);
    let least = 0;
    let leastCount = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.#keys.length; slot++) {
      const count = (this.#counts[slot] as number) + (this.#credits[slot] as number);
      if (count < leastCount) [least, leastCount] = [slot, count];
    }
    const key = this.#keys[least] as number;
    const kind = ioKind(key);
    this.otherCounts[kind] = (this.otherCounts[kind] as number) + (this.#counts[least] as number);
    this.#credits[least] = leastCount;
    this.#slots.delete(key);
    return least;
  }
}

function longer(from: Float64Array, length: number): Float64Array {
  const to = new Float64Array(length);
  to.set(from);
  return to;
}
