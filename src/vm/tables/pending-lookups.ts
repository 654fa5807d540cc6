export interface PendingLookup {
  readonly tid: number;
  /** True if the thread did what only a vCPU's thread does. */
  ranVcpu: boolean;
  /** The vCPU that the thread's events name; -1 if they name none. */
  vcpu: number;
  /** Time of an event of the thread, the latest that was asked about; NaN if it is not known. */
  atMs: number;
}

interface FailedLookup {
  readonly ranVcpu: boolean;
  readonly retryMs: number;
}

/**
 * Unknown threads that raised events: those waiting to be looked up, and those whose look-up failed (PURE). Both lists
 * are bounded. If the first is full, a thread is left out and its next event asks again; if the second is full, its
 * oldest entry is dropped.
 */
export class PendingLookups {
  readonly #pending = new Map<number, PendingLookup>();
  /** In the order in which they may be tried again. */
  readonly #failed = new Map<number, FailedLookup>();
  readonly #limit: number;
  readonly #retryAfterMs: number;

  constructor(limit: number, retryAfterMs: number) {
    this.#limit = limit;
    this.#retryAfterMs = retryAfterMs;
  }

  add(tid: number, ranVcpu: boolean, vcpu: number, atMs = Number.NaN): void {
    const pending = this.#pending.get(tid);
    if (pending !== undefined) {
      pending.ranVcpu ||= ranVcpu;
      if (vcpu >= 0) pending.vcpu = vcpu;
      if (!Number.isNaN(atMs)) pending.atMs = atMs;
      return;
    }
    const failed = this.#failed.get(tid);
    // That a thread runs a vCPU is worth another look-up: then its process is a VM even if no rule knows its program.
    if (failed !== undefined && (failed.ranVcpu || !ranVcpu)) return;
    if (this.#pending.size < this.#limit) this.#pending.set(tid, { tid, ranVcpu, vcpu, atMs });
  }

  /** The id is another thread's from now on: that an earlier look-up failed says nothing. */
  retry(tid: number): void {
    this.#failed.delete(tid);
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /**
   * Returns at most `count` threads to look up now, and those that are known by now. Call {@link fail} for each that is
   * not found.
   */
  take(count: number, nowMs: number, isKnown: (tid: number) => boolean = () => false): PendingLookup[] {
    for (const [tid, { retryMs }] of this.#failed) {
      if (retryMs > nowMs) break;
      this.#failed.delete(tid);
    }
    const taken: PendingLookup[] = [];
    let left = count;
    for (const lookup of this.#pending.values()) {
      if (!isKnown(lookup.tid) && left-- <= 0) break;
      taken.push(lookup);
      this.#pending.delete(lookup.tid);
    }
    return taken;
  }

  fail({ tid, ranVcpu }: PendingLookup, nowMs: number): void {
    this.#failed.delete(tid);
    this.#failed.set(tid, { ranVcpu, retryMs: nowMs + this.#retryAfterMs });
    if (this.#failed.size <= this.#limit) return;
    for (const oldest of this.#failed.keys()) {
      this.#failed.delete(oldest);
      return;
    }
  }
}
