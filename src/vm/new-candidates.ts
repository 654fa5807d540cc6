import * as proc from './host/proc.js';
import type { ThreadFacts } from './tables/thread-record.js';
import { LINGER_MS } from './tables/thread-table.js';
import type { NewVm } from './vmm-finder.js';

/** A process that looked like a VMM soon after its start, and had no VM yet as far as KVM shows. */
interface Candidate {
  readonly found: NewVm;
  readonly threads: Map<number, ThreadFacts>;
  readonly sinceMs: number;
}

/** Candidates that are remembered; each costs a few reads per tick while it is new. */
const MAX_CANDIDATES = 32;
/** Threads of a candidate that are read. */
const MAX_THREADS = 64;

/**
 * Remembers the threads of candidates that have just been started (HOST): a short-lived VM may have ended before KVM is
 * asked again, or before its events are read.
 */
export class NewCandidates {
  readonly #root: string;
  /** Process id -> candidate, the oldest first. */
  readonly #candidates = new Map<number, Candidate>();

  constructor(procfs: string) {
    this.#root = procfs;
  }

  /** @param identify called if the process is not remembered yet; undefined if it is no candidate */
  see(pid: number, identify: () => NewVm | undefined, nowMs: number): void {
    for (const [oldest, { sinceMs }] of this.#candidates) {
      if (nowMs - sinceMs < LINGER_MS && this.#candidates.size < MAX_CANDIDATES) break;
      if (oldest !== pid) this.#candidates.delete(oldest);
    }
    const known = this.#candidates.get(pid);
    const isSame = known !== undefined && known.found.vm.startTime === proc.readStat(this.#root, pid)?.startTime;
    if (isSame) return this.#readThreads(pid, known.threads);
    const found = identify();
    if (found === undefined) return;
    const candidate = { found, threads: new Map(), sinceMs: nowMs };
    this.#candidates.delete(pid);
    this.#candidates.set(pid, candidate);
    this.#readThreads(pid, candidate.threads);
  }

  /**
   * The process that had this thread; it is forgotten.
   * @param pid the process that has it now; undefined if it has ended
   * @param canBe true if the thread can have had the start time
   */
  take(
    tid: number,
    pid: number | undefined,
    canBe: (startTime: number) => boolean,
  ): { readonly found: NewVm; readonly threads: Iterable<ThreadFacts> } | undefined {
    for (const [candidate, { found, threads }] of this.#candidates) {
      const thread = threads.get(tid);
      if (thread === undefined || (pid ?? candidate) !== candidate || !canBe(thread.startTime)) continue;
      this.#candidates.delete(candidate);
      return { found, threads: threads.values() };
    }
    return undefined;
  }

  #readThreads(pid: number, threads: Map<number, ThreadFacts>): void {
    for (const tid of (proc.threadIds(this.#root, pid) ?? []).slice(0, MAX_THREADS)) {
      const stat = proc.readThreadStat(this.#root, pid, tid);
      if (stat !== undefined)
        threads.set(tid, { tid, startTime: stat.startTime, comm: stat.comm, innerTid: tid, unlisted: false });
    }
  }
}
