/**
 * Finds processes that have just been started (HOST). If nothing was started, this costs one small read: the last id
 * that the kernel gave out, the last number in /proc/loadavg (Documentation/filesystems/proc.rst, fs/proc/loadavg.c):
 *
 *   0.40 0.64 0.77 1/91 30251
 *
 * Threads take ids too. A process is returned for {@link NEW_MS}: between fork and exec it still is another program,
 * and its threads start one by one. If very many are started at once, the newest are returned; the next scan finds the
 * rest.
 */
import * as proc from './host/proc.js';

/** New ids up to which each is asked whether it is a process: 30 us each. Listing all processes is cheaper for more. */
const MAX_ASKED_SINGLY = 16;
/** New processes returned by one call: some hosts start hundreds per second. */
const MAX_RETURNED = 32;
/** How long a process is new. */
const NEW_MS = 400;

const NONE: readonly number[] = [];

export class NewProcesses {
  readonly #root: string;
  readonly #latestIdReader: proc.LatestId;
  /** Process id -> time until which it is new. */
  readonly #newUntilMs = new Map<number, number>();
  #latestId = -1;
  #lastStartMs = Number.NEGATIVE_INFINITY;

  constructor(procfs: string) {
    this.#root = procfs;
    this.#latestIdReader = new proc.LatestId(procfs);
  }

  /** Treats a process as new from now on. */
  add(pid: number, nowMs: number): void {
    this.#newUntilMs.set(pid, nowMs + NEW_MS);
  }

  /**
   * Returns the processes that are new.
   * @param nowMs of performance.now()
   * @param onlyAdded true: only those given to {@link add}, without a look at the host
   */
  find(nowMs: number, onlyAdded = false): readonly number[] {
    if (!onlyAdded) this.#addStarted(nowMs);
    if (this.#newUntilMs.size === 0) return NONE;
    for (const [pid, untilMs] of this.#newUntilMs) if (nowMs > untilMs) this.#newUntilMs.delete(pid);
    return [...this.#newUntilMs.keys()];
  }

  /** Milliseconds since the last process or thread was started, as of the last call of `find`. */
  idleMs(nowMs: number): number {
    return nowMs - this.#lastStartMs;
  }

  #addStarted(nowMs: number): void {
    const before = this.#latestId;
    this.#latestId = this.#latestIdReader.read() ?? -1;
    if (this.#latestId === before) return;
    this.#lastStartMs = nowMs;
    if (before >= 0) for (const pid of this.#startedAfter(before)) this.add(pid, nowMs);
  }

  #startedAfter(before: number): number[] {
    const latest = this.#latestId;
    // Ids start again from the bottom after pid_max.
    const isNew = (id: number) => (before <= latest ? id > before && id <= latest : id > before || id <= latest);
    if (latest >= before && latest - before <= MAX_ASKED_SINGLY)
      return Array.from({ length: latest - before }, (_, index) => before + 1 + index).filter(
        (id) => proc.tgidOf(this.#root, id) === id,
      );
    return (proc.processIds(this.#root) ?? []).filter(isNew).slice(-MAX_RETURNED);
  }
}
