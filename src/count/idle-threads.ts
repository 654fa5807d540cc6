export const IDLE_MS = 60_000;

interface LastEvent {
  /** Number of events so far. */
  readonly events: number;
  /** Time at which that number was seen first. */
  readonly sinceMs: number;
}

/** Finds idle threads, whose counts can be merged. */
export class IdleThreads {
  #lastEvents: ReadonlyMap<number, LastEvent> = new Map();

  /**
   * Returns the threads that have had no event for `idleMs`, and none since the previous call.
   * @param eventsByTid the number of events of each thread so far
   */
  find(eventsByTid: ReadonlyMap<number, number>, nowMs: number, idleMs: number): number[] {
    const lastEvents = new Map<number, LastEvent>();
    const idle: number[] = [];
    for (const [tid, events] of eventsByTid) {
      const last = this.#lastEvents.get(tid);
      const isIdle = last?.events === events;
      const sinceMs = isIdle ? last.sinceMs : nowMs;
      if (isIdle && nowMs - sinceMs >= idleMs) idle.push(tid);
      else lastEvents.set(tid, { events, sinceMs });
    }
    this.#lastEvents = lastEvents;
    return idle;
  }
}
