/**
 * Finds out which processes are VMMs (HOST), with as few reads as possible. A process that is no VMM is checked when it
 * is new, once more soon after (between fork and exec it still is another program), then in turns, and by its `stat`
 * line only: start time and name show whether it is still the same program.
 */
import * as proc from './host/proc.js';
import { parseCgroup } from './identify/cgroup.js';
import { identifyVmm, unknownVmm } from './identify/cmdline.js';
import { vmPidOfKernelThread } from './identify/comm.js';
import { type Mutable, newVm, type Vm } from './vm.js';

export interface NewVm {
  readonly vm: Mutable<Vm>;
  /** Process id of the parent; 0 if a VM may have any parent. */
  readonly parent: number;
}

/** A process that is no VMM. */
interface NonVmm {
  readonly startTime: number;
  readonly comm: string;
  /** True once it was checked twice. */
  settled: boolean;
}

/** Processes without a VM that are checked again in one scan, at 20 us each. */
const RECHECKS_PER_SCAN = 16;

export class VmmFinder {
  readonly #root: string;
  readonly #nonVmms = new Map<number, NonVmm>();
  /** Kernel threads whose names hold the id of a VMM. */
  readonly #kernelThreads = new Map<number, proc.Stat>();
  #scans = 0;
  /** Number of scans in which each process is checked once. */
  #turns = 1;

  constructor(procfs: string) {
    this.#root = procfs;
  }

  /** Threads of the kernel that work for a VM, by thread id. */
  get kernelThreads(): ReadonlyMap<number, proc.Stat> {
    return this.#kernelThreads;
  }

  /** Begins a scan. Returns the ids of all processes; undefined if /proc cannot be read. */
  beginScan(): number[] | undefined {
    this.#scans++;
    this.#turns = Math.max(1, Math.ceil(this.#nonVmms.size / RECHECKS_PER_SCAN));
    return proc.processIds(this.#root);
  }

  /** True for a process that is known to be no VMM and need not be checked again in this scan. */
  canSkip(pid: number): boolean {
    return this.#nonVmms.get(pid)?.settled === true && (pid + this.#scans) % this.#turns !== 0;
  }

  /** True if the VM's process is still the same. */
  isStillRunning(vm: Vm): boolean {
    const stat = proc.readStat(this.#root, vm.pid);
    return stat !== undefined && stat.startTime === vm.startTime && !this.#hasEnded(vm.pid, stat);
  }

  /**
   * The VM of a process that had none so far. `ranVcpu`: a thread of it ran a vCPU, so it is a VM even if no rule knows
   * it.
   */
  identify(pid: number, ranVcpu: boolean): NewVm | undefined {
    const stat = proc.readStat(this.#root, pid);
    if (stat === undefined) return undefined;
    const known = this.#nonVmms.get(pid);
    if (known !== undefined && known.startTime === stat.startTime && known.comm === stat.comm && !ranVcpu) {
      known.settled = true;
      return undefined;
    }
    this.#nonVmms.delete(pid);
    this.#kernelThreads.delete(pid);
    if (stat.kernel) {
      if (vmPidOfKernelThread(stat.comm) > 0) this.#kernelThreads.set(pid, stat);
    } else if (!this.#hasEnded(pid, stat) && (ranVcpu || this.#looksLikeVmm(pid, stat)) && this.#isProcess(pid)) {
      const process = proc.readProcess(this.#root, pid, stat);
      if (process === undefined) return undefined; // It changed while it was read: the next scan checks it again.
      const vm = vmOf(process, ranVcpu);
      if (vm !== undefined) return { vm, parent: ranVcpu ? 0 : stat.parent };
    }
    this.#nonVmms.set(pid, { startTime: stat.startTime, comm: stat.comm, settled: false });
    return undefined;
  }

  forgetVanished(pids: ReadonlySet<number>): void {
    for (const pid of this.#nonVmms.keys()) if (!pids.has(pid)) this.#nonVmms.delete(pid);
    for (const tid of this.#kernelThreads.keys()) if (!pids.has(tid)) this.#kernelThreads.delete(tid);
  }

  /** Asked for every process of the host, so it reads one file only. */
  #looksLikeVmm(pid: number, { comm }: proc.Stat): boolean {
    return identifyVmm(proc.readArgs(this.#root, pid), comm) !== undefined;
  }

  /** False for a thread: a live /proc answers for a thread's id as for a process. */
  #isProcess(pid: number): boolean {
    return (proc.tgidOf(this.#root, pid) ?? pid) === pid;
  }

  /** A process whose main thread has ended lives on in its other threads, unless they are ending, too. */
  #hasEnded(pid: number, { isEnding }: proc.Stat): boolean {
    if (!isEnding) return false;
    const rest = (proc.threadIds(this.#root, pid) ?? []).filter((tid) => tid !== pid);
    return rest.every((tid) => proc.readThreadStat(this.#root, pid, tid)?.isEnding !== false);
  }
}

function vmOf(process: proc.Process, ranVcpu: boolean): Mutable<Vm> | undefined {
  const { args, comm } = process;
  const cgroup = parseCgroup(process.cgroup);
  const identity =
    identifyVmm(args, comm, cgroup.podUid !== undefined) ?? (ranVcpu ? unknownVmm(comm, args) : undefined);
  return identity === undefined ? undefined : newVm(process, identity, cgroup);
}
