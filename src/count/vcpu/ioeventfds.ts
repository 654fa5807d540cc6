/**
 * The addresses at which KVM itself takes a VM's writes for QEMU, as QEMU told KVM to: kvm_set_ioeventfd_mmio, _pio.
 *
 * A table is certain once it holds an address, until it is told of the end of an entry whose beginning it never saw: then QEMU's trace
 * began too late for the table to be whole. (Before it starts a VM, QEMU tries out port 0, and takes that back.)
 */
export class Ioeventfds {
  /** Key -> assigned less taken back. Several queues can share an address. */
  readonly #assigned = new Map<number, number>();

  get size(): number {
    return this.#assigned.size;
  }

  set(mmio: boolean, address: number, assign: boolean): void {
    this.#change(keyOf(mmio, address), assign ? 1 : -1);
  }

  /** What others saw of the same VM. */
  absorb(from: Ioeventfds): void {
    for (const [key, count] of from.#assigned) this.#change(key, count);
  }

  has(mmio: boolean, address: number): boolean {
    return (this.#assigned.get(keyOf(mmio, address)) ?? 0) > 0;
  }

  get isComplete(): boolean {
    if (this.#assigned.size === 0) return false;
    for (const count of this.#assigned.values()) if (count < 0) return false;
    return true;
  }

  #change(key: number, by: number): void {
    const count = (this.#assigned.get(key) ?? 0) + by;
    if (count === 0) this.#assigned.delete(key);
    else if (this.#assigned.has(key) || this.#assigned.size < MAX_ENTRIES) this.#assigned.set(key, count);
  }
}

/** Far more than the queues of a VM. */
const MAX_ENTRIES = 4096;

function keyOf(mmio: boolean, address: number): number {
  return address * 2 + (mmio ? 1 : 0);
}
