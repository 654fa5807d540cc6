import { setTimeout as sleep } from 'node:timers/promises';

const SLICE_MS = 5;
const PAUSE_MS = 5;

/** Divides long work into slices, with pauses between them for other work of the event loop. */
export class Slices {
  #startMs = performance.now();
  /** Time that the work took, without pauses. */
  busyMs = 0;

  /** Waits a moment if this slice has taken long enough. */
  async turn(): Promise<void> {
    const spentMs = performance.now() - this.#startMs;
    if (spentMs < SLICE_MS) return;
    this.busyMs += spentMs;
    await sleep(PAUSE_MS, undefined, { ref: false });
    this.#startMs = performance.now();
  }
}
