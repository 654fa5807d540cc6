/** Far more than the queues of a VM. */
const MAX_ADDRESSES = 4096;

/**
 * The addresses at which KVM itself takes a VM's writes for QEMU: ioeventfds, as QEMU's trace events
 * kvm_set_ioeventfd_mmio and _pio show them.
 */
export class Ioeventfds {
  /**
   * Port -> number of assignments minus number of removals, and the same by guest physical address. Several queues can
   * share an address. Two maps, because a double has no room for the bus beside an address of 53 bits.
   */
  readonly #ports = new Map<number, number>();
  readonly #memory = new Map<number, number>();

  get size(): number {
    return this.#ports.size + this.#memory.size;
  }

  set(mmio: boolean, address: number, assign: boolean): void {
    this.#change(mmio, address, assign ? 1 : -1);
  }

  /** Adds the assignments and removals that another trace of the same VM showed. */
  absorb(from: Ioeventfds): void {
    for (const [port, count] of from.#ports) this.#change(false, port, count);
    for (const [address, count] of from.#memory) this.#change(true, address, count);
  }

  /** True if the address has been assigned or removed. */
  knows(mmio: boolean, address: number): boolean {
    return this.#of(mmio).has(address);
  }

  has(mmio: boolean, address: number): boolean {
    return (this.#of(mmio).get(address) ?? 0) > 0;
  }

  /**
   * True if the trace shows all ioeventfds of the VM: it has one, and no removal of one whose assignment came before
   * the trace began. (Before QEMU starts a VM, it assigns port 0 and removes it again, as a test.)
   */
  get isComplete(): boolean {
    if (this.size === 0) return false;
    for (const assigned of [this.#ports, this.#memory])
      for (const count of assigned.values()) if (count < 0) return false;
    return true;
  }

  #of(mmio: boolean): Map<number, number> {
    return mmio ? this.#memory : this.#ports;
  }

  #change(mmio: boolean, address: number, by: number): void {
    const assigned = this.#of(mmio);
    const count = (assigned.get(address) ?? 0) + by;
    if (count === 0) assigned.delete(address);
    else if (assigned.has(address) || this.size < MAX_ADDRESSES) assigned.set(address, count);
  }
}
