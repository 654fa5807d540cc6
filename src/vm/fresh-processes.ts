/**
 * Processes that have just been started (HOST): told by the last id that the kernel gave out, so that nothing new costs one small read.
 *
 *   0.40 0.64 0.77 1/91 30251      /proc/loadavg: the last number (Documentation/filesystems/proc.rst, fs/proc/loadavg.c)
 *
 * Threads take ids too. A process is told for a while: between fork and exec it is another program, and its threads come one by one.
 * Where very many are started at once the newest are told; the next scan finds the others.
 */
import * as proc from './host/proc.js';

/** Up to so many ids are asked one by one whether they are a process: 30 microseconds each. For more, the list of all processes is cheaper. */
const ASKED_SINGLY = 16;
/** New processes told of one call: there are hosts that start hundreds of them a second. */
const MOST = 32;
/** For so long a process is new. */
const FRESH_MS = 400;

const NONE: readonly number[] = [];

export class FreshProcesses {
  readonly #root: string;
  readonly #latestId: proc.LatestId;
  /** Until when they will be told. */
  readonly #fresh = new Map<number, number>();
  #latest = -1;
  #newsMs = Number.NEGATIVE_INFINITY;

  constructor(root: string) {
    this.#root = root;
    this.#latestId = new proc.LatestId(root);
  }

  /** Somebody else knows of a new one. */
  add(pid: number, nowMs: number): void {
    this.#fresh.set(pid, nowMs + FRESH_MS);
  }

  /** @param nowMs of performance.now() */
  next(nowMs: number): readonly number[] {
    const before = this.#latest;
    this.#latest = this.#latestId.read() ?? -1;
    if (this.#latest !== before) this.#newsMs = nowMs;
    else if (this.#fresh.size === 0) return NONE;
    for (const [pid, untilMs] of this.#fresh) if (nowMs > untilMs) this.#fresh.delete(pid);
    if (before >= 0) for (const pid of this.#startedAfter(before)) this.#fresh.set(pid, nowMs + FRESH_MS);
    return [...this.#fresh.keys()];
  }

  /** For how long nothing was started, as far as `next` was asked. */
  idleMs(nowMs: number): number {
    return nowMs - this.#newsMs;
  }

  #startedAfter(before: number): number[] {
    const latest = this.#latest;
    const isNew = (id: number) => (before <= latest ? id > before && id <= latest : id > before || id <= latest);
    if (latest >= before && latest - before <= ASKED_SINGLY)
      return Array.from({ length: latest - before }, (_, index) => before + 1 + index).filter(
        (id) => proc.tgidOf(this.#root, id) === id,
      );
    return (proc.processIds(this.#root) ?? []).filter(isNew).slice(-MOST);
  }
}
