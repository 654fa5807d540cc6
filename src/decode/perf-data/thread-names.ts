import type { TraceSink } from '../../trace/sink.js';

/** As many as a kernel can have at a time on most hosts (pid_max); a name of a thread beyond them is not kept. */
const MAX_THREADS = 1 << 18;

interface ReportedThread {
  /** The thread's id in its records. It differs from perf's if perf ran in a pid namespace of its own. */
  readonly hostTid: number;
  readonly pid: number;
}

/**
 * Names and processes of threads. A perf.data has the names of all threads of the host; those of threads without events
 * are kept back, because a host may have far more of them than there are threads of VMs.
 */
export class ThreadNames {
  readonly #sink: TraceSink;
  readonly #comms = new Map<number, string>();
  readonly #reported = new Map<number, ReportedThread>();

  constructor(sink: TraceSink) {
    this.#sink = sink;
  }

  /** A thread has an event. */
  see(tid: number, pid: number, hostTid: number): void {
    const known = this.#reported.get(tid);
    if (known?.pid === pid || tid <= 0 || this.#reported.size >= MAX_THREADS) return;
    // The name of the main thread is that of the program, which tells what VMM the process is.
    if (tid === hostTid && pid !== tid && pid > 0 && !this.#reported.has(pid)) this.#report(pid, { hostTid: pid, pid });
    this.#report(tid, { hostTid, pid });
  }

  /** PERF_RECORD_COMM */
  rename(tid: number, pid: number, comm: string): void {
    if (this.#comms.has(tid) || this.#comms.size < MAX_THREADS) this.#comms.set(tid, comm);
    this.#reportAgain(tid, pid);
  }

  /** PERF_RECORD_FORK: a thread begins with the name of the thread that made it. */
  start(tid: number, pid: number, parentTid: number): void {
    const comm = this.#comms.get(parentTid);
    if (comm !== undefined) this.rename(tid, pid, comm);
    else this.#comms.delete(tid);
  }

  /** PERF_RECORD_EXIT: the kernel may give the id to a thread of another process. */
  end(tid: number): void {
    this.#comms.delete(tid);
    this.#reported.delete(tid);
  }

  #reportAgain(tid: number, pid: number): void {
    const known = this.#reported.get(tid);
    if (known !== undefined) this.#report(tid, { hostTid: known.hostTid, pid });
  }

  #report(tid: number, thread: ReportedThread): void {
    this.#reported.set(tid, thread);
    this.#sink.thread(thread.hostTid, thread.pid, this.#comms.get(tid) ?? '');
  }
}
