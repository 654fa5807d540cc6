/**
 * What a recording tells of its threads (PURE): the process they belong to and their name. All that there is where no copy of /proc
 * was saved; in a live /proc it can still tell whose a thread was that has already ended.
 */
import { vmPidOfKernelThread } from './identify/comm.js';

export interface RecordedThread {
  readonly tid: number;
  /** Its process; for one of the kernel's own threads the VMM it works for. */
  readonly pid: number;
  readonly comm: string;
}

/** A recording of a long time may name any number of threads. */
const LIMIT = 65_536;

export class RecordedThreads {
  readonly #byTid = new Map<number, RecordedThread>();
  readonly #byPid = new Map<number, Set<number>>();

  /** `tgid` below 1: the recording does not say. What it said before of the same thread is then kept. */
  add(tid: number, tgid: number, comm: string): RecordedThread {
    const owner = vmPidOfKernelThread(comm);
    const before = this.#byTid.get(tid);
    const pid = owner > 0 ? owner : tgid > 0 ? tgid : (before?.pid ?? -1);
    const recorded = { tid, pid, comm };
    if (before === undefined && this.#byTid.size >= LIMIT) return recorded;
    if (before !== undefined) this.#byPid.get(before.pid)?.delete(tid);
    this.#byTid.set(tid, recorded);
    const tids = this.#byPid.get(pid);
    if (tids === undefined) this.#byPid.set(pid, new Set([tid]));
    else tids.add(tid);
    return recorded;
  }

  get(tid: number): RecordedThread | undefined {
    return this.#byTid.get(tid);
  }

  of(pid: number): RecordedThread[] {
    return Array.from(this.#byPid.get(pid) ?? []).flatMap((tid) => this.#byTid.get(tid) ?? []);
  }
}
