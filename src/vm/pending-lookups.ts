/**
 * Threads that somebody asked for and nobody knows (PURE): those waiting to be looked up, and those looked up in vain.
 * Both are bounded; when full, a waiting one is not taken (its next event asks again) and the oldest absent one is forgotten.
 */

export interface PendingLookup {
  readonly tid: number;
  /** It did what only a vCPU's thread does. */
  ranVcpu: boolean;
  /** The vCPU that its events name, -1 where they do not. */
  vcpu: number;
}

interface Absent {
  readonly ranVcpu: boolean;
  readonly retryMs: number;
}

export class PendingLookups {
  readonly #waiting = new Map<number, PendingLookup>();
  /** In the order in which they are to be tried again. */
  readonly #absent = new Map<number, Absent>();
  readonly #limit: number;
  readonly #retryAfterMs: number;

  constructor(limit: number, retryAfterMs: number) {
    this.#limit = limit;
    this.#retryAfterMs = retryAfterMs;
  }

  add(tid: number, ranVcpu: boolean, vcpu: number): void {
    const waiting = this.#waiting.get(tid);
    if (waiting !== undefined) {
      waiting.ranVcpu ||= ranVcpu;
      if (vcpu >= 0) waiting.vcpu = vcpu;
      return;
    }
    const absent = this.#absent.get(tid);
    // Looked up in vain; that it runs a vCPU would be news worth another look.
    if (absent !== undefined && (absent.ranVcpu || !ranVcpu)) return;
    if (this.#waiting.size < this.#limit) this.#waiting.set(tid, { tid, ranVcpu, vcpu });
  }

  /** At most `count` to look up now; each must come back by {@link absent} or is taken as found. */
  take(count: number, nowMs: number): PendingLookup[] {
    for (const [tid, { retryMs }] of this.#absent) {
      if (retryMs > nowMs) break;
      this.#absent.delete(tid);
    }
    const taken: PendingLookup[] = [];
    for (const miss of this.#waiting.values()) {
      if (taken.length >= count) break;
      taken.push(miss);
      this.#waiting.delete(miss.tid);
    }
    return taken;
  }

  absent(miss: PendingLookup, nowMs: number): void {
    this.#absent.delete(miss.tid);
    this.#absent.set(miss.tid, { ranVcpu: miss.ranVcpu, retryMs: nowMs + this.#retryAfterMs });
    if (this.#absent.size <= this.#limit) return;
    for (const oldest of this.#absent.keys()) {
      this.#absent.delete(oldest);
      return;
    }
  }
}
