/**
 * How often the kernel's buffers are drained: seldom enough to cost little, often enough that they never fill up. In between, ticks
 * look for processes that have just been started, where nobody tells of new VMs.
 *
 *   tick ─► due? ─► drain ─► fill of the fullest buffer ─► pause until the next drain
 */

/** Longest pause between drains. Seldom is cheap: each drain finds the caches cold, and asks every CPU. A scrape drains first. */
const SLOWEST_MS = 500;
const FASTEST_MS = 10;
/** Longest pause between ticks: a VM that lives for a moment only must be looked at while it does. */
const TICK_MS = 100;
/** The same on a host where nothing has been started for so long: each wake-up takes a quarter of a millisecond of CPU. */
const QUIET_TICK_MS = 250;
const QUIET_AFTER_MS = 30_000;
/** While a VM starts its threads come one by one, and it may end at once. */
const HURRY_MS = 25;
const HURRIED_DRAINS = 20;
/** A buffer fuller than this at a drain: come more often. Half of it: more seldom. */
const HIGH_WATER = 1 / 8;

export class Pacer {
  readonly #bufferSize: number;
  #pauseMs = FASTEST_MS;
  #hurried = 0;
  #tickMs = TICK_MS;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** @param bufferSize bytes of a CPU's buffer */
  constructor(bufferSize: number) {
    this.#bufferSize = bufferSize;
  }

  /** Until the next tick. */
  get pauseMs(): number {
    return this.#lastMs === Number.NEGATIVE_INFINITY ? 0 : Math.min(this.#tickMs, this.#drainPauseMs);
  }

  /** Whether it is time for a drain. @param nowMs of performance.now() */
  isDue(nowMs: number): boolean {
    // Half a tick too early is better than half a tick too late.
    return nowMs - this.#lastMs >= this.#drainPauseMs - this.pauseMs / 2;
  }

  /**
   * A drain is over.
   * @param mostBytes what it has read of the fullest buffer
   * @param behind there is more to read than it had time for: the next one is due at once
   */
  drained(mostBytes: number, behind: boolean, nowMs: number): void {
    this.#lastMs = behind ? Number.NEGATIVE_INFINITY : nowMs;
    if (this.#hurried > 0) this.#hurried--;
    const fill = mostBytes / this.#bufferSize;
    if (fill > HIGH_WATER) this.#pauseMs = Math.max(FASTEST_MS, this.#pauseMs / 2);
    else if (fill < HIGH_WATER / 2) this.#pauseMs = Math.min(SLOWEST_MS, this.#pauseMs * 1.25);
  }

  /** Somebody tells of new VMs at once: ticks need not look for them. */
  watching(): void {
    this.#tickMs = SLOWEST_MS;
  }

  /** Nobody does. For so long nothing has been started on this host. */
  idleFor(ms: number): void {
    this.#tickMs = ms >= QUIET_AFTER_MS ? QUIET_TICK_MS : TICK_MS;
  }

  /** A VM has started. */
  wakeSoon(): void {
    this.#hurried = HURRIED_DRAINS;
  }

  get #drainPauseMs(): number {
    return this.#hurried > 0 ? Math.min(HURRY_MS, this.#pauseMs) : this.#pauseMs;
  }
}
