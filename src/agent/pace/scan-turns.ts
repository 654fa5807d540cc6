/** On a host on which nothing has happened, one scan in so many takes place: one in ten seconds. */
const QUIET_TURNS = 5;
const QUIET_AFTER_MS = 10_000;

/** Decides which scans of the host can be left out, because they would find what the scan before them found. */
export class ScanTurns {
  #stirredMs: number;
  #leftOut = 0;

  constructor(nowMs: number) {
    this.#stirredMs = nowMs;
  }

  /** A VM is being created or destroyed, or a thread has raised its first event. */
  stir(nowMs: number): void {
    this.#stirredMs = nowMs;
  }

  /**
   * Call it when a scan is due. Returns true if it is to take place.
   * @param isWatched true if {@link stir} is called for each VM that comes or goes
   */
  take(isWatched: boolean, nowMs: number): boolean {
    const isQuiet = isWatched && nowMs - this.#stirredMs > QUIET_AFTER_MS;
    this.#leftOut = isQuiet ? (this.#leftOut + 1) % QUIET_TURNS : 0;
    return this.#leftOut === 0;
  }
}
