import { type Steps, Stepwise } from '../count/stepwise.js';
import type { Snapshot } from './snapshot.js';

/** Longest time for which other work waits for a snapshot. */
const MAX_WAIT_MS = 500;

/**
 * The snapshot that is being taken in steps. Until it is finished, the ledger may count, but no VM or thread may come
 * or go in it: so what can wait does, and what cannot finishes the snapshot first.
 */
export class SnapshotAtWork {
  #snapshot: Stepwise<Snapshot> | undefined;
  #sinceMs = 0;

  /** Takes a snapshot by these steps, which {@link finish} may overtake. */
  *take(steps: Steps<Snapshot>, nowMs: number): Steps<Snapshot> {
    const snapshot = new Stepwise(steps);
    this.#snapshot = snapshot;
    this.#sinceMs = nowMs;
    while (snapshot.step()) yield;
    if (this.#snapshot === snapshot) this.#snapshot = undefined;
    return snapshot.finish();
  }

  /** True if a snapshot is worth waiting for. */
  isTaken(nowMs: number): boolean {
    return this.#snapshot !== undefined && nowMs - this.#sinceMs < MAX_WAIT_MS;
  }

  finish(): void {
    this.#snapshot?.complete();
    this.#snapshot = undefined;
  }
}
