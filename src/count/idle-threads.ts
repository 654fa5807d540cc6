const IDLE_MS = 60_000;

interface LastEvent {
  /** Number of events so far. */
  readonly events: number;
  /** Time at which that number was seen first. */
  readonly sinceMs: number;
}

/**
 * Finds idle threads among those of no known VM. Such threads accumulate over days (short-lived VMs, processes that an
 * interrupt happened to hit), so the ledger merges the idle ones into one.
 */
export class IdleThreads {
  #lastEvents: ReadonlyMap<number, LastEvent> = new Map();

  /**
   * Returns the threads that have had no event for a minute.
   * @param eventsByTid all threads of no known VM, with the number of their events so far
   */
  find(eventsByTid: ReadonlyMap<number, number>, nowMs: number): number[] {
    const lastEvents = new Map<number, LastEvent>();
    const idle: number[] = [];
    for (const [tid, events] of eventsByTid) {
      const last = this.#lastEvents.get(tid);
      const sinceMs = last?.events === events ? last.sinceMs : nowMs;
      if (nowMs - sinceMs >= IDLE_MS) idle.push(tid);
      else lastEvents.set(tid, { events, sinceMs });
    }
    this.#lastEvents = lastEvents;
    return idle;
  }
}
