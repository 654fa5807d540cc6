/** Far more than the queues of a VM. */
const MAX_ADDRESSES = 4096;

/**
 * The addresses at which KVM itself takes a VM's writes for QEMU: ioeventfds, as QEMU's trace events
 * kvm_set_ioeventfd_mmio and _pio show them.
 */
export class Ioeventfds {
  /** Address -> number of assignments minus number of removals. Several queues can share an address. */
  readonly #assigned = new Map<number, number>();

  get size(): number {
    return this.#assigned.size;
  }

  set(mmio: boolean, address: number, assign: boolean): void {
    this.#change(keyOf(mmio, address), assign ? 1 : -1);
  }

  /** Adds the assignments and removals that another trace of the same VM showed. */
  absorb(from: Ioeventfds): void {
    for (const [key, count] of from.#assigned) this.#change(key, count);
  }

  has(mmio: boolean, address: number): boolean {
    return (this.#assigned.get(keyOf(mmio, address)) ?? 0) > 0;
  }

  /**
   * True if the trace shows all ioeventfds of the VM: it has one, and no removal of one whose assignment came before
   * the trace began. (Before QEMU starts a VM, it assigns port 0 and removes it again, as a test.)
   */
  get isComplete(): boolean {
    if (this.#assigned.size === 0) return false;
    for (const count of this.#assigned.values()) if (count < 0) return false;
    return true;
  }

  #change(key: number, by: number): void {
    const count = (this.#assigned.get(key) ?? 0) + by;
    if (count === 0) this.#assigned.delete(key);
    else if (this.#assigned.has(key) || this.#assigned.size < MAX_ADDRESSES) this.#assigned.set(key, count);
  }
}

function keyOf(mmio: boolean, address: number): number {
  return address * 2 + (mmio ? 1 : 0);
}
