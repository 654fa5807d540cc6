/** How often a reason began to keep APICv off, and whether it does now. */
export interface ApicvInhibit {
  begun: number;
  isOn: boolean;
  /** Number of the change among all changes of the trace. A VM's state is that of the latest change of any thread. */
  order: number;
}

/** Threads whose changes are kept. A process can have any number of threads; a VM changes it from a few. */
const MAX_THREADS = 16_384;

/**
 * What keeps APICv or AVIC off, by the thread that changed it: a vCPU, or a thread of the VMM that creates a device.
 */
export class ApicvInhibits {
  /** Thread id -> reason -> inhibit. */
  readonly #threads = new Map<number, Map<number, ApicvInhibit>>();
  #changes = 0;

  change(tid: number, reason: number, isOn: boolean): void {
    const inhibits = this.#threads.get(tid) ?? new Map<number, ApicvInhibit>();
    if (inhibits.size === 0 && this.#threads.size >= MAX_THREADS) return;
    this.#threads.set(tid, inhibits);
    addTo(inhibits, reason, { begun: isOn ? 1 : 0, isOn, order: ++this.#changes });
  }

  threadIds(): IterableIterator<number> {
    return this.#threads.keys();
  }

  has(tid: number): boolean {
    return this.#threads.has(tid);
  }

  /** Adds what a thread changed to `totals`, reason -> inhibit. */
  addTo(totals: Map<number, ApicvInhibit>, tid: number): void {
    for (const [reason, inhibit] of this.#threads.get(tid) ?? []) addTo(totals, reason, inhibit);
  }

  /** Adds the counts of thread `from` to those of `to`, and drops `from`. */
  move(from: number, to: number): void {
    const moved = this.#threads.get(from);
    if (moved === undefined) return;
    this.#threads.delete(from);
    const inhibits = this.#threads.get(to) ?? new Map<number, ApicvInhibit>();
    this.#threads.set(to, inhibits);
    for (const [reason, inhibit] of moved) addTo(inhibits, reason, inhibit);
  }

  forget(tid: number): void {
    this.#threads.delete(tid);
  }
}

function addTo(inhibits: Map<number, ApicvInhibit>, reason: number, { begun, isOn, order }: ApicvInhibit): void {
  const known = inhibits.get(reason);
  if (known === undefined) inhibits.set(reason, { begun, isOn, order });
  else {
    known.begun += begun;
    if (order > known.order) [known.isOn, known.order] = [isOn, order];
  }
}
