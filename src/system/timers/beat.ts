/**
 * Lets the timers of an idle program end together. Each wake-up of a process finds the caches cold, so one wake-up for
 * three pieces of work costs little more than one for a single piece.
 *
 * A pause ends at a multiple of itself on the program's clock, so pauses of 0.5, 1, 2, 5 and 10 seconds meet. The first
 * one is shorter than asked for.
 */

/** Shortest pause that is moved: shorter ones have a reason to be short. */
const MIN_PAUSE_MS = 500;
/**
 * Longest work whose timer is moved. All timers that end together are served in one turn of the event loop: the work
 * for many VMs must not add up to a stall.
 */
const MAX_WORK_MS = 5;
/** Part of a pause by which a timer may have fired too early: the next multiple is meant then. */
const MAX_EARLY = 1 / 100;

/**
 * Returns the pause to give to a timer, in milliseconds from `nowMs` on; at most a hundredth longer than asked for.
 * @param workMs how long the work took the last time
 */
export function onBeat(pauseMs: number, workMs = 0, nowMs = performance.now()): number {
  if (pauseMs < MIN_PAUSE_MS || workMs > MAX_WORK_MS) return pauseMs;
  const beats = Math.floor(nowMs / pauseMs + MAX_EARLY) + 1;
  return Math.ceil(beats * pauseMs - nowMs);
}

/**
 * Does the work again and again, first after a pause, as long as the program has other work. Returns what ends it.
 */
export function everyBeat(pauseMs: number, work: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const begin = (workMs: number) => {
    timer = setTimeout(
      () => {
        const startMs = performance.now();
        work();
        if (timer !== undefined) begin(performance.now() - startMs);
      },
      onBeat(pauseMs, workMs),
    ).unref();
  };
  begin(0);
  return () => {
    clearTimeout(timer);
    timer = undefined;
  };
}
