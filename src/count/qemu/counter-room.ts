/** Room that every trace has, whatever other traces take. */
const OWN_ROOM = 4096;
/** Most room of one trace: a megabyte. A VM with 512 vCPUs takes a quarter of it. */
const MAX_ROOM = 131_072;

/** Room that the traces of all VMs share, in counters of eight bytes: 16 MB. */
export class SharedRoom {
  left = 1 << 21;
}

/**
 * Limits the counters of one trace. Without it, a log of 68 KB that names a new thread and a new event on every line
 * takes 270 MB, because each thread has counters by event.
 */
export class CounterRoom {
  readonly #shared: SharedRoom;
  #taken = 0;

  constructor(shared = new SharedRoom()) {
    this.#shared = shared;
  }

  /** False if there is no room for so many further counters. */
  take(counters: number): boolean {
    const taken = this.#taken + counters;
    const more = Math.max(0, taken - OWN_ROOM) - Math.max(0, this.#taken - OWN_ROOM);
    if (taken > MAX_ROOM || more > this.#shared.left) return false;
    this.#shared.left -= more;
    this.#taken = taken;
    return true;
  }

  release(counters: number): void {
    const taken = Math.max(0, this.#taken - counters);
    this.#shared.left += Math.max(0, this.#taken - OWN_ROOM) - Math.max(0, taken - OWN_ROOM);
    this.#taken = taken;
  }

  releaseAll(): void {
    this.release(this.#taken);
  }
}
