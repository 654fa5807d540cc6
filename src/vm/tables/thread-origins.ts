import { LINGER_MS } from './thread-table.js';

interface Start {
  /**
   * The thread that started the other one; undefined if two of different creators had the id within a short time, or if
   * only the end is known so far.
   */
  readonly creator: number | undefined;
  /** Times on the agent's clock; NaN if they are not known. */
  readonly startMs: number;
  readonly endMs: number;
}

/** Threads that are remembered: those of a few seconds on a busy host. */
const MAX_STARTS = 16_384;
/** A thread that started or ended longer ago than this may be forgotten. */
const KEEP_MS = 3 * LINGER_MS;
/** Threads that started each other, one after the other, before one that is known. */
const MAX_GENERATIONS = 8;

/**
 * Which thread started which, as the kernel's trace shows (PURE). A thread may have ended before /proc was asked for
 * it; then it belongs to the process of the thread that started it.
 */
export class ThreadOrigins {
  /** Threads that started or ended since {@link #sinceMs}. */
  #recent = new Map<number, Start>();
  /** Those of the time before, which are forgotten all at once. */
  #older = new Map<number, Start>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** `creator` has started a thread of its own process, at `startMs`. */
  add(tid: number, creator: number, startMs: number): void {
    const before = this.#find(tid);
    const isAmbiguous = before !== undefined && before.creator !== creator && startMs - before.startMs < LINGER_MS;
    // The end is on another CPU, and may be read before the start.
    const endMs = before !== undefined && before.endMs >= startMs ? before.endMs : Number.NaN;
    this.#put(tid, { creator: isAmbiguous ? undefined : creator, startMs, endMs }, startMs);
  }

  end(tid: number, endMs: number): void {
    const { creator, startMs } = this.#find(tid) ?? { creator: undefined, startMs: Number.NaN };
    // The end of an earlier thread with this id is on another CPU, and may be read after the start.
    if (!(endMs < startMs)) this.#put(tid, { creator, startMs, endMs }, endMs);
  }

  /** The thread table has the thread from now on. */
  forget(tid: number): void {
    this.#recent.delete(tid);
    this.#older.delete(tid);
  }

  #find(tid: number): Start | undefined {
    return this.#recent.get(tid) ?? this.#older.get(tid);
  }

  #put(tid: number, start: Start, atMs: number): void {
    this.forget(tid);
    if (atMs - this.#sinceMs > KEEP_MS || this.#recent.size >= MAX_STARTS / 2) {
      this.#older = this.#recent;
      this.#recent = new Map();
      this.#sinceMs = atMs;
    }
    this.#recent.set(tid, start);
  }

  /** Start of the thread; NaN if it is not known. */
  startOf(tid: number): number {
    return this.#find(tid)?.startMs ?? Number.NaN;
  }

  /** End of the thread; NaN if it is not known. */
  endOf(tid: number): number {
    return this.#find(tid)?.endMs ?? Number.NaN;
  }

  /**
   * Calls `look` with the creator of the thread and when it lived, then with that one's, until there is an answer. Only
   * threads that lived for a few seconds have creators here: later, the id may be that of another process's thread.
   */
  trace<T>(tid: number, nowMs: number, look: (creator: number, atMs: number) => T | undefined): T | undefined {
    let start = this.#find(tid);
    let lastMs = start === undefined || Number.isNaN(start.endMs) ? nowMs : start.endMs;
    for (let generation = 0; generation < MAX_GENERATIONS; generation++) {
      if (start?.creator === undefined || !(lastMs - start.startMs < LINGER_MS)) return undefined;
      const found = look(start.creator, start.startMs);
      if (found !== undefined) return found;
      lastMs = start.startMs;
      start = this.#find(start.creator);
    }
    return undefined;
  }
}
