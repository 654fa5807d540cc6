const QUIET_MS = 60_000;

interface Deeds {
  readonly done: number;
  readonly sinceMs: number;
}

/**
 * Threads that nobody knows. In the course of days there may be any number of them, of VMs that lived for a moment and
 * of others whom interrupts hit: so those that do no more are told apart.
 */
export class IdleThreads {
  /** What each had done, and since when it has done no more. */
  #deeds: ReadonlyMap<number, Deeds> = new Map();

  /** Which of these have done nothing for a minute. `done`: all there are, with what each has done so far. */
  quiet(done: ReadonlyMap<number, number>, nowMs: number): number[] {
    const before = this.#deeds;
    const deeds = new Map<number, Deeds>();
    const quiet: number[] = [];
    for (const [tid, count] of done) {
      const last = before.get(tid);
      const sinceMs = last?.done === count ? last.sinceMs : nowMs;
      if (nowMs - sinceMs >= QUIET_MS) quiet.push(tid);
      else deeds.set(tid, { done: count, sinceMs });
    }
    this.#deeds = deeds;
    return quiet;
  }
}
