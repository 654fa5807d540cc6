/** Keys that a table keeps by default, for each vCPU; most vCPUs use fewer. */
const DEFAULT_CAPACITY = 64;
const INITIAL_CAPACITY = 8;
/** Number of kinds of keys. */
export const KINDS = 16;
/** Keys from here on are counted by their kind only: larger ones would not be exact. */
export const MAX_KEY = 2 ** 53 - 4096;

/** Kind of a key, from 0 to {@link KINDS}: its low bits. */
export function kindOf(key: number): number {
  return key % KINDS;
}

/**
 * Counts by key, in bounded memory: the space-saving algorithm (Metwally, Agrawal, El Abbadi 2005) with exact totals.
 * What has a key that is not in the table, or no longer, is in {@link otherCounts}.
 */
export class KeyTable {
  /** Key -> index in the arrays. */
  readonly #slots = new Map<number, number>();
  readonly #capacity: number;
  #keys: Float64Array;
  /** What was counted since the key entered the table. */
  #counts: Float64Array;
  /** Count that a key inherited from the key it replaced, by space-saving's rule. Empty until the first replacement. */
  #credits = new Float64Array(0);
  /** Nanoseconds by slot. Empty until the first {@link addTime}. */
  #times: Float64Array = new Float64Array(0);
  /**
   * Nanoseconds of the next {@link addTime}. A field and not a parameter, because V8 boxes a double that it passes to a
   * call it does not inline.
   */
  timeNs = 0.5;
  /** Counts of keys that are not in the table, by kind. */
  readonly otherCounts = new Float64Array(KINDS);
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

  /** Adds {@link timeNs} to the key that was added last. The time of a key leaves the table with it. */
  addTime(): void {
    const slot = this.#latestSlot;
    if (slot >= this.#times.length) this.#times = longer(this.#times, this.#counts.length);
    this.#times[slot] = (this.#times[slot] as number) + this.timeNs;
  }

  /** Adds the counts of `from`. */
  absorb(from: KeyTable): void {
    // No key in a table is beyond the limit of exact keys, so each gets a slot.
    for (const [key, count] of from.entries()) {
      this.add(key);
      this.#counts[this.#latestSlot] = (this.#counts[this.#latestSlot] as number) + count - 1;
      const ns = from.timeOf(key);
      if (ns === 0) continue;
      this.timeNs = ns;
      this.addTime();
    }
    from.otherCounts.forEach((count, kind) => {
      this.otherCounts[kind] = (this.otherCounts[kind] as number) + count;
    });
  }

  *entries(): IterableIterator<readonly [key: number, count: number]> {
    for (const [key, slot] of this.#slots) yield [key, this.#counts[slot] as number];
  }

  /** Nanoseconds of a key; 0 if it has none. */
  timeOf(key: number): number {
    const slot = this.#slots.get(key);
    return slot === undefined ? 0 : (this.#times[slot] ?? 0);
  }

  /** False if the key is too large to be kept; it has been counted by its kind then. */
  #select(key: number): boolean {
    if (key >= MAX_KEY) {
      const kind = kindOf(key);
      this.otherCounts[kind] = (this.otherCounts[kind] as number) + 1;
      return false;
    }
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#slots.size < this.#capacity ? this.#unusedSlot() : this.#evict();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#counts[slot] = 0;
      if (slot < this.#times.length) this.#times[slot] = 0;
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
    const kind = kindOf(key);
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
