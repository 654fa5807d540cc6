/**
 * Finds out which processes are VMMs (HOST), with as few reads as possible. A process that is no VMM is checked when it
 * is new, once more soon after (between fork and exec it still is another program), then in turns, and by its `stat`
 * line only: start time and name show whether it is still the same program.
 *
 * A process that only looks like a VMM is a candidate. It becomes a VM once KVM shows one (kvm-processes.ts), or once a
 * thread of it has run a vCPU. Until then it is not shown, and costs no more than any other process.
 */
import type { KvmProcesses } from './host/kvm-processes.js';
import * as proc from './host/proc.js';
import { ProcessList } from './host/process-list.js';
import { parseCgroup } from './identify/cgroup.js';
import { identifyVmm, unknownVmm } from './identify/cmdline.js';
import { vmPidOfKernelThread } from './identify/comm.js';
import { type Mutable, newVm, type Vm } from './tables/vm.js';

export interface NewVm {
  readonly vm: Mutable<Vm>;
  /** Process id of the parent; 0 if a VM may have any parent. */
  readonly parent: number;
}

/** A process without a VM. */
interface NonVmm {
  readonly startTime: number;
  readonly comm: string;
  /** True if it looks like a VMM. */
  readonly isCandidate: boolean;
  /** True if KVM had a folder for it when it was checked. */
  readonly hadFolder: boolean;
  /** Number of the scan before which it was checked first. */
  readonly sinceScan: number;
  /** True once it was checked twice. */
  settled: boolean;
  /** True once {@link VmmFinder.takeImpostors} has returned it. */
  isReported: boolean;
}

/** A process that looks like a VMM, and has had no VM for a while. */
export interface Impostor {
  readonly pid: number;
  readonly comm: string;
}

/** Processes without a VM that are checked again in one scan, at 20 us each. */
const RECHECKS_PER_SCAN = 16;
/** The same where KVM lists the processes that have a VM. */
const RECHECKS_PER_LISTED_SCAN = 2;
/** Candidates that are checked again in one scan, at 60 us each. */
const CANDIDATES_PER_SCAN = 64;
/** Processes without a VM that are checked in one scan, new ones included. */
const MAX_CHECKS_PER_SCAN = 1000;
/** Scans after which a candidate is an impostor. */
const IMPOSTOR_SCANS = 5;

export class VmmFinder {
  readonly #root: string;
  readonly #processes: ProcessList;
  readonly #nonVmms = new Map<number, NonVmm>();
  /** Kernel threads whose names hold the id of a VMM. */
  readonly #kernelThreads = new Map<number, proc.Stat>();
  readonly #kvm: KvmProcesses | undefined;
  #impostors: Impostor[] = [];
  #scans = 0;
  /** Number of scans in which each process is checked once. */
  #turns = 1;

  /** @param kvm undefined in a saved copy, where a command line is all there is */
  constructor(procfs: string, kvm: KvmProcesses | undefined) {
    this.#root = procfs;
    this.#processes = new ProcessList(procfs);
    this.#kvm = kvm;
  }

  /** Threads of the kernel that work for a VM, by thread id. */
  get kernelThreads(): ReadonlyMap<number, proc.Stat> {
    return this.#kernelThreads;
  }

  /**
   * Begins a scan. Returns the ids of all processes, and perhaps of some that have just ended; undefined if /proc
   * cannot be read.
   */
  beginScan(): readonly number[] | undefined {
    this.#scans++;
    const rechecks = this.#kvm?.listsVms === true ? RECHECKS_PER_LISTED_SCAN : RECHECKS_PER_SCAN;
    this.#turns = Math.max(1, Math.ceil(this.#nonVmms.size / rechecks));
    return this.#processes.read();
  }

  /**
   * The processes that are to be checked in this scan. A user can start thousands of processes at once: except in the
   * first scan, some of them are left to later scans.
   */
  due(pids: readonly number[], isVm: (pid: number) => boolean): number[] {
    let left = this.#scans === 1 ? Number.POSITIVE_INFINITY : MAX_CHECKS_PER_SCAN;
    const isDue = (pid: number) => {
      const known = this.#nonVmms.get(pid);
      return known?.settled !== true || (!known.isCandidate && (pid + this.#scans) % this.#turns === 0);
    };
    const due = pids.filter((pid) => isVm(pid) || this.#hasFolder(pid) || (isDue(pid) && left-- > 0));
    return [...new Set([...due, ...this.#nextCandidates()])];
  }

  /** The candidates that were not checked for the longest time: a check moves a candidate to the end of the map. */
  #nextCandidates(): readonly number[] {
    const candidates: number[] = [];
    for (const [pid, { isCandidate, settled }] of this.#nonVmms) {
      if (isCandidate && settled) candidates.push(pid);
      if (candidates.length === CANDIDATES_PER_SCAN) break;
    }
    return candidates;
  }

  /** True if the VM's process is still the same, and has not destroyed its VM. */
  isStillRunning(vm: Vm): boolean {
    const stat = proc.readStat(this.#root, vm.pid);
    if (stat === undefined || stat.startTime !== vm.startTime) return false;
    return !this.#hasEnded(vm.pid, stat) && this.#kvm?.hasDestroyed(vm) !== true;
  }

  /**
   * The VM of a process that had none so far. `ranVcpu`: a thread of it ran a vCPU, so it is a VM even if no rule knows
   * it.
   */
  identify(pid: number, ranVcpu: boolean): NewVm | undefined {
    const stat = proc.readStat(this.#root, pid);
    if (stat === undefined) return undefined;
    const hadFolder = this.#hasFolder(pid);
    const known = this.#nonVmms.get(pid);
    const isSame = known?.startTime === stat.startTime && known.comm === stat.comm;
    if (isSame && known.hadFolder === hadFolder && !ranVcpu) {
      known.settled = true;
      if (!known.isCandidate || !this.#recheck(pid, known)) return undefined;
    }
    this.#nonVmms.delete(pid);
    this.#kernelThreads.delete(pid);
    let isCandidate = false;
    if (stat.kernel) {
      if (vmPidOfKernelThread(stat.comm) > 0) this.#kernelThreads.set(pid, stat);
    } else if (!this.#hasEnded(pid, stat) && (ranVcpu || this.#looksLikeVmm(pid, stat)) && this.#isProcess(pid)) {
      isCandidate = !ranVcpu;
      if (ranVcpu || this.#hasVm(pid)) {
        const process = proc.readProcess(this.#root, pid, stat);
        if (process === undefined) return undefined; // It changed while it was read: the next scan checks it again.
        const vm = vmOf(process, ranVcpu);
        if (vm !== undefined) {
          this.#kvm?.note(vm);
          return { vm, parent: ranVcpu ? 0 : stat.parent };
        }
      }
    }
    const { startTime, comm } = stat;
    const sinceScan = isSame ? known.sinceScan : this.#scans;
    const isReported = isSame && known.isReported;
    this.#nonVmms.set(pid, { startTime, comm, isCandidate, hadFolder, sinceScan, settled: false, isReported });
    return undefined;
  }

  /** The VM that a process would be if it had one; undefined if it is no candidate. */
  candidate(pid: number): NewVm | undefined {
    if (this.#nonVmms.get(pid)?.isCandidate !== true) return undefined;
    const process = proc.readProcess(this.#root, pid);
    const vm = process && vmOf(process, false);
    return vm && { vm, parent: process.parent };
  }

  /** Returns the processes that were found to be impostors since the last call, each once. */
  takeImpostors(): readonly Impostor[] {
    const impostors = this.#impostors;
    this.#impostors = [];
    return impostors;
  }

  forgetVanished(pids: ReadonlySet<number>): void {
    for (const pid of this.#nonVmms.keys()) if (!pids.has(pid)) this.#nonVmms.delete(pid);
    for (const tid of this.#kernelThreads.keys()) if (!pids.has(tid)) this.#kernelThreads.delete(tid);
  }

  #hasFolder(pid: number): boolean {
    return this.#kvm?.hasFolder(pid) === true;
  }

  #hasVm(pid: number): boolean {
    return this.#kvm === undefined || this.#kvm.hasVm(pid);
  }

  /** Returns true if a candidate has a VM by now. */
  #recheck(pid: number, candidate: NonVmm): boolean {
    if (this.#kvm?.isExhausted === true) return false;
    this.#nonVmms.delete(pid);
    this.#nonVmms.set(pid, candidate);
    if (this.#hasVm(pid)) return true;
    if (!candidate.isReported && this.#scans - candidate.sinceScan >= IMPOSTOR_SCANS) {
      candidate.isReported = true;
      this.#impostors.push({ pid, comm: candidate.comm });
    }
    return false;
  }

  /** Asked for every process of the host, so it reads one file only. */
  #looksLikeVmm(pid: number, { comm }: proc.Stat): boolean {
    return identifyVmm(proc.readFirstArgs(this.#root, pid), comm) !== undefined;
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
