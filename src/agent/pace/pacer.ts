/**
 * Decides how often the kernel's buffers are drained: seldom enough to cost little, often enough that they never fill
 * up. Ticks in between check for processes that have just been started, unless a watcher reports new VMs.
 *
 *   tick ─► due? ─► drain ─► fill of the fullest buffer ─► pause until the next drain
 */

/**
 * Longest pause between drains. Each drain finds the caches cold and asks every CPU, and copies events one by one from
 * the page that the kernel is writing; other pages it gets whole. So seldom is cheap. A scrape drains first.
 */
const MAX_DRAIN_PAUSE_MS = 500;
const MIN_DRAIN_PAUSE_MS = 10;
/**
 * Bytes that one CPU writes in a millisecond at most: the pause is so short that even a guest that starts to exit as
 * fast as it can does not fill a smaller buffer. 33 MB a second are 500,000 exits with the events that each raises.
 */
const MAX_BYTES_PER_MS = 33_554;
/**
 * Longest pause, and bytes that one CPU writes in a millisecond at most, while only exits to QEMU are recorded: 500,000
 * of those a second are 12 MB.
 */
const MAX_RARE_PAUSE_MS = 1000;
const MAX_RARE_BYTES_PER_MS = 12_000;
/** Longest pause while no VM runs, and a watcher reports new ones. */
const NO_VM_PAUSE_MS = 2000;
/** Longest pause between ticks: even a short-lived VM must be seen while it lives. */
const MAX_TICK_PAUSE_MS = 100;
/** The same on a host where nothing was started for {@link IDLE_AFTER_MS}: each wake-up takes 250 us of CPU. */
const IDLE_TICK_PAUSE_MS = 250;
const IDLE_AFTER_MS = 30_000;
/** Longest pause between drains while a VM starts: its threads start one by one, and it may end at once. */
const START_PAUSE_MS = 25;
const START_DRAINS = 20;
/**
 * Fill of a buffer above which the pause gets shorter: after the longest pause, a CPU then writes more than half of
 * {@link MAX_BYTES_PER_MS}. Below half of this fill the pause gets longer.
 */
const HIGH_WATER = 1 / 2;

export class Pacer {
  readonly #bufferSize: number;
  /** Longest pause in which a VM does not fill a buffer, with all events and with exits to QEMU alone. */
  readonly #fillPauseMs: number;
  readonly #rarePauseMs: number;
  /** Longest pause at present. */
  #maxPauseMs: number;
  #drainPauseMs = MIN_DRAIN_PAUSE_MS;
  /** Number of drains that still follow each other closely. */
  #startDrains = 0;
  #tickPauseMs = MAX_TICK_PAUSE_MS;
  #lastDrainMs = Number.NEGATIVE_INFINITY;
  #hasVms = true;

  /** @param bufferSize bytes of one CPU's buffer */
  constructor(bufferSize: number) {
    this.#bufferSize = bufferSize;
    const atLeast = (pauseMs: number) => Math.max(MIN_DRAIN_PAUSE_MS, pauseMs);
    this.#fillPauseMs = Math.min(MAX_DRAIN_PAUSE_MS, atLeast(bufferSize / MAX_BYTES_PER_MS));
    this.#rarePauseMs = Math.min(MAX_RARE_PAUSE_MS, atLeast(bufferSize / MAX_RARE_BYTES_PER_MS));
    this.#maxPauseMs = this.#fillPauseMs;
  }

  /** Milliseconds until the next tick. */
  get pauseMs(): number {
    return this.#lastDrainMs === Number.NEGATIVE_INFINITY ? 0 : Math.min(this.#tickPauseMs, this.#currentDrainPauseMs);
  }

  /** True if no VM runs, and none is about to. */
  get isQuiet(): boolean {
    return !this.#hasVms && this.#startDrains === 0 && this.#lastDrainMs !== Number.NEGATIVE_INFINITY;
  }

  /** True if it is time for a drain. @param nowMs of performance.now() */
  isDue(nowMs: number): boolean {
    // Half a tick too early is better than half a tick too late.
    return nowMs - this.#lastDrainMs >= this.#currentDrainPauseMs - this.pauseMs / 2;
  }

  /**
   * Call it after each drain.
   * @param mostBytes bytes read from the fullest buffer
   * @param behind true if time ran out before everything was read: then the next drain is due at once
   */
  drained(mostBytes: number, behind: boolean, nowMs: number): void {
    this.#lastDrainMs = behind ? Number.NEGATIVE_INFINITY : nowMs;
    if (this.#startDrains > 0) this.#startDrains--;
    const fill = mostBytes / this.#bufferSize;
    if (fill > HIGH_WATER) this.#drainPauseMs = Math.max(MIN_DRAIN_PAUSE_MS, this.#drainPauseMs / 2);
    else if (fill < HIGH_WATER / 2) this.#drainPauseMs = Math.min(this.#maxPauseMs, this.#drainPauseMs * 1.25);
  }

  /**
   * A watcher reports new VMs at once, so ticks need not check for them.
   * @param hasVms true if VMs run
   * @param isRare true if only exits to QEMU are recorded
   */
  watching(hasVms: boolean, isRare = false): void {
    this.#hasVms = hasVms;
    const withVmsMs = isRare ? this.#rarePauseMs : this.#fillPauseMs;
    this.#maxPauseMs = hasVms ? withVmsMs : NO_VM_PAUSE_MS;
    this.#tickPauseMs = this.#maxPauseMs;
  }

  /** Ticks must check for new VMs. Nothing was started on this host for `ms`. */
  idleFor(ms: number): void {
    this.#hasVms = true;
    this.#maxPauseMs = this.#fillPauseMs;
    this.#tickPauseMs = ms >= IDLE_AFTER_MS ? IDLE_TICK_PAUSE_MS : MAX_TICK_PAUSE_MS;
  }

  /** A VM has started: the next drains follow each other closely. */
  wakeSoon(): void {
    this.#startDrains = START_DRAINS;
  }

  /** The next drain is due at once. */
  wakeNow(): void {
    this.#lastDrainMs = Number.NEGATIVE_INFINITY;
  }

  get #currentDrainPauseMs(): number {
    const pauseMs = Math.min(this.#drainPauseMs, this.#maxPauseMs);
    return this.#startDrains > 0 ? Math.min(START_PAUSE_MS, pauseMs) : pauseMs;
  }
}
