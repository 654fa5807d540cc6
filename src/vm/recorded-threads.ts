import { identifyVmm, unknownVmm } from './identify/cmdline.js';
import { vmPidOfKernelThread } from './identify/comm.js';
import type { ThreadTable } from './tables/thread-table.js';
import { NO_START, newVm, type Vm } from './tables/vm.js';
import type { VmTable } from './tables/vm-table.js';

export interface RecordedThread {
  readonly tid: number;
  /** The thread's process; for a kernel thread the VMM that it works for; -1 if the recording does not tell. */
  readonly pid: number;
  readonly comm: string;
}

/** A long recording may name any number of threads. */
const MAX_THREADS = 65_536;

/**
 * What a trace says about threads: the process and the name (PURE). In a report without a copy of /proc this is all
 * there is; live it identifies threads that ended before they were looked up. What /proc says wins.
 */
export class RecordedThreads {
  readonly #vms: VmTable;
  readonly #threads: ThreadTable;
  readonly #byTid = new Map<number, RecordedThread>();
  readonly #byPid = new Map<number, Set<number>>();

  constructor(vms: VmTable, threads: ThreadTable) {
    this.#vms = vms;
    this.#threads = threads;
  }

  /** @param tgid the thread's process; below 1 if the trace does not tell, which leaves what it said before */
  add(tid: number, tgid: number, comm: string): RecordedThread {
    const vmPid = vmPidOfKernelThread(comm);
    const before = this.#byTid.get(tid);
    const pid = vmPid > 0 ? vmPid : tgid > 0 ? tgid : (before?.pid ?? -1);
    const thread = { tid, pid, comm };
    if (before === undefined && this.#byTid.size >= MAX_THREADS) return thread;
    if (before !== undefined) this.#byPid.get(before.pid)?.delete(tid);
    this.#byTid.set(tid, thread);
    const tids = this.#byPid.get(pid);
    if (tids === undefined) this.#byPid.set(pid, new Set([tid]));
    else tids.add(tid);
    return thread;
  }

  find(tid: number): RecordedThread | undefined {
    return this.#byTid.get(tid);
  }

  /** Adds the recorded threads of a running VM's process to the thread table. */
  joinAll(vm: Vm): void {
    for (const tid of this.#byPid.get(vm.pid) ?? []) {
      const thread = this.#byTid.get(tid);
      if (thread !== undefined) this.join(vm, thread);
    }
  }

  join(vm: Vm, { tid, comm }: RecordedThread): void {
    const known = this.#threads.find(tid);
    if (known !== undefined && known.startTime !== NO_START) return;
    this.#threads.see(vm, { tid, startTime: NO_START, comm, innerTid: tid, unlisted: true }, Number.NEGATIVE_INFINITY);
  }

  /** Starts a VM for a process that is known from the trace only. */
  startVm(pid: number): void {
    const comm = this.#byTid.get(pid)?.comm ?? '';
    const identity = { ...(identifyVmm([comm], comm) ?? unknownVmm(comm)), name: '' };
    if (this.#vms.runningAt(pid) === undefined)
      this.#vms.start([newVm({ pid, startTime: NO_START, startSeconds: Number.NaN, uid: -1 }, identity, {})]);
    const vm = this.#vms.runningAt(pid);
    if (vm !== undefined) this.joinAll(vm);
  }
}
