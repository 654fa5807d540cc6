/**
 * Processes that have just been started (HOST): told by the last id that the kernel gave out, so that nothing new costs one small read.
 *
 *   0.40 0.64 0.77 1/91 30251      /proc/loadavg: the last number (Documentation/filesystems/proc.rst, fs/proc/loadavg.c)
 *
 * Threads take ids too. A process is told several times: between fork and exec it is another program, and its threads come one by one.
 * Where very many are started at once, or in a saved tree, none is told: the next scan finds them.
 */
import * as proc from './proc.js';

/** Ids looked at in one call: each costs some 30 microseconds, and there are hosts that start hundreds of processes a second. */
const MOST = 16;
/** Calls for which a process is new. */
const CALLS = 4;

const NONE: readonly number[] = [];

export class FreshProcesses {
  readonly #root: string;
  readonly #latestId: proc.LatestId;
  /** Calls that they will still be told in. */
  readonly #fresh = new Map<number, number>();
  #latest = -1;

  constructor(root: string) {
    this.#root = root;
    this.#latestId = new proc.LatestId(root);
  }

  next(): readonly number[] {
    const before = this.#latest;
    const latest = this.#latestId.read() ?? -1;
    if (latest === before && this.#fresh.size === 0) return NONE;
    for (const [pid, calls] of this.#fresh) {
      if (calls > 1) this.#fresh.set(pid, calls - 1);
      else this.#fresh.delete(pid);
    }
    this.#latest = latest;
    if (before >= 0 && latest - before <= MOST)
      for (let id = before + 1; id <= latest; id++) if (proc.tgidOf(this.#root, id) === id) this.#fresh.set(id, CALLS);
    return [...this.#fresh.keys()];
  }
}
