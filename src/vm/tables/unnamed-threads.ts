import { chooseLabel } from './vm.js';

/** vCPU threads that have rows of their own. More than the vCPUs of most hosts, and few enough for a report. */
const MAX_THREADS = 4096;

/** What the counters need to know of a row. */
interface ThreadRow {
  /** Name and id of the thread, as ftrace writes them: `CPU 0/KVM-1634470`. */
  readonly label: string;
}

/**
 * vCPU threads of which a recording names neither the VM nor the process (PURE). Each has a row of its own: threads of
 * two VMs have the same names, and nothing proves that two threads belong to one VM.
 */
export class UnnamedThreads {
  readonly #rows = new Map<number, ThreadRow>();
  #leftOut = 0;

  /** Number of threads that have a row. */
  get count(): number {
    return this.#rows.size;
  }

  /** Number of threads that share the row of unknown VMs, because there are too many. */
  get leftOut(): number {
    return this.#leftOut;
  }

  rowOf(tid: number): ThreadRow | undefined {
    return this.#rows.get(tid);
  }

  /**
   * @param comm '' if the recording does not name the thread
   * @param isTaken true if a VM has this label
   */
  add(tid: number, comm: string, isTaken: (label: string) => boolean): void {
    if (this.#rows.has(tid)) return;
    if (this.#rows.size < MAX_THREADS)
      this.#rows.set(tid, { label: chooseLabel(`${comm || 'thread'}-${tid}`, tid, isTaken) });
    else this.#leftOut++;
  }
}
