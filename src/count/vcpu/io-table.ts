/**
 * The addresses that one vCPU accesses most, in bounded memory: the space-saving algorithm (Metwally, Agrawal, El Abbadi 2005), with exact
 * totals. What is pushed out of the table, or never got far, is in `other`; nothing is lost, nothing counted twice.
 *
 * A key is bus, direction, layer and address in one number, so that looking it up makes no object.
 */

export type Bus = 'pio' | 'mmio';
export type Direction = 'in' | 'out';

/** Addresses kept of each vCPU unless told otherwise; few access more than some. */
const SLOTS = 64;
const FIRST_SLOTS = 8;
const MMIO = 4;
const OUT = 2;
const QEMU = 1;

/** @param address a port, or the address of an MMIO page */
export function ioKey(mmio: boolean, out: boolean, qemu: boolean, address: number): number {
  return address * 8 + (mmio ? MMIO : 0) + (out ? OUT : 0) + (qemu ? QEMU : 0);
}

export interface IoAddress {
  readonly bus: Bus;
  readonly direction: Direction;
  readonly layer: 'kvm' | 'qemu';
  readonly address: number;
}

export function decodeIoKey(key: number): IoAddress {
  const flags = key % 8;
  return {
    bus: flags & MMIO ? 'mmio' : 'pio',
    direction: flags & OUT ? 'out' : 'in',
    layer: flags & QEMU ? 'qemu' : 'kvm',
    address: Math.floor(key / 8),
  };
}

/** What all addresses of a key's kind are summed under: the key without its address. */
export function ioKind(key: number): number {
  return key % 8;
}

export class IoTable {
  readonly #slots = new Map<number, number>();
  readonly #limit: number;
  #keys: Float64Array;
  /** Since the key came into the table. */
  #counts: Float64Array;
  /** What space-saving credits a newcomer with: the count of whom it replaced. Empty while nobody was. */
  #credits = new Float64Array(0);
  /** By {@link ioKind}: accesses to addresses that are not in the table. */
  readonly otherCounts = new Float64Array(8);
  #latestKey = -1;
  #latestSlot = 0;

  constructor(slots = SLOTS) {
    this.#limit = slots;
    const first = Math.min(slots, FIRST_SLOTS);
    this.#keys = new Float64Array(first);
    this.#counts = new Float64Array(first);
  }

  add(key: number): void {
    if (key !== this.#latestKey) this.#select(key);
    this.#counts[this.#latestSlot] = (this.#counts[this.#latestSlot] as number) + 1;
  }

  /** Adds what `from` counted. */
  absorb(from: IoTable): void {
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

  #select(key: number): void {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#slots.size < this.#limit ? this.#nextSlot() : this.#evict();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#counts[slot] = 0;
    }
    this.#latestKey = key;
    this.#latestSlot = slot;
  }

  #nextSlot(): number {
    const slot = this.#slots.size;
    if (slot < this.#keys.length) return slot;
    const length = Math.min(this.#limit, this.#keys.length * 2);
    this.#keys = longer(this.#keys, length);
    this.#counts = longer(this.#counts, length);
    return slot;
  }

  /** Frees the slot of the least used key and leaves its credit to whoever comes. */
  #evict(): number {
    if (this.#credits.length === 0) this.#credits = new Float64Array(this.#limit);
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
