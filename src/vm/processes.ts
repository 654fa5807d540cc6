/**
 * Which processes are VMMs (HOST, through proc.ts), with as few reads as it can: a process that is none is looked at when new, once more
 * soon after (between fork and exec it still is another program), then in turns, and by its `stat` line only: start time
 * and name tell whether it is still the same program.
 */

import * as proc from './host/proc.js';
import { parseCgroup } from './identify/cgroup.js';
import { identifyVmm, unknownVmm } from './identify/cmdline.js';
import { vmPidOfKernelThread } from './identify/comm.js';
import { type Mutable, newVm, type Vm } from './vm.js';

export interface NewVm {
  readonly vm: Mutable<Vm>;
  /** Its parent, 0 where that does not matter. */
  readonly parent: number;
}

interface Other {
  readonly startTime: number;
  readonly comm: string;
  settled: boolean;
}

/** How many of the processes that are no VMM are looked at again in one scan. Each costs some 20 microseconds. */
const CHECKS_PER_SCAN = 16;

export class Processes {
  readonly #root: string;
  readonly #others = new Map<number, Other>();
  /** The kernel's threads that work for a VM. */
  readonly #helpers = new Map<number, proc.Stat>();
  #scans = 0;
  #turns = 1;

  constructor(root: string) {
    this.#root = root;
  }

  get helpers(): ReadonlyMap<number, proc.Stat> {
    return this.#helpers;
  }

  /** All there are, undefined where the tree can't be read. Each call begins a scan. */
  ids(): number[] | undefined {
    this.#scans++;
    this.#turns = Math.max(1, Math.ceil(this.#others.size / CHECKS_PER_SCAN));
    return proc.processIds(this.#root);
  }

  /** Known to be no VMM, and not its turn to be looked at again. */
  skips(pid: number): boolean {
    return this.#others.get(pid)?.settled === true && (pid + this.#scans) % this.#turns !== 0;
  }

  isStill(vm: Vm): boolean {
    const stat = proc.readStat(this.#root, vm.pid);
    return stat !== undefined && stat.startTime === vm.startTime && !this.#hasEnded(vm.pid, stat);
  }

  /** The VM of a process that had none yet. `ranVcpu`: it is one, whatever its name. */
  identify(pid: number, ranVcpu: boolean): NewVm | undefined {
    const stat = proc.readStat(this.#root, pid);
    if (stat === undefined) return undefined;
    const known = this.#others.get(pid);
    if (known !== undefined && known.startTime === stat.startTime && known.comm === stat.comm && !ranVcpu) {
      known.settled = true;
      return undefined;
    }
    this.#others.delete(pid);
    this.#helpers.delete(pid);
    if (stat.kernel) {
      if (vmPidOfKernelThread(stat.comm) > 0) this.#helpers.set(pid, stat);
    } else if (!this.#hasEnded(pid, stat) && (ranVcpu || this.#looksLikeVmm(pid, stat))) {
      const process = proc.readProcess(this.#root, pid, stat);
      if (process === undefined) return undefined; // it is changing just now: next time
      const vm = vmOf(process, ranVcpu);
      if (vm !== undefined) return { vm, parent: ranVcpu ? 0 : stat.parent };
    }
    this.#others.set(pid, { startTime: stat.startTime, comm: stat.comm, settled: false });
    return undefined;
  }

  forgetVanished(pids: ReadonlySet<number>): void {
    for (const pid of this.#others.keys()) if (!pids.has(pid)) this.#others.delete(pid);
    for (const tid of this.#helpers.keys()) if (!pids.has(tid)) this.#helpers.delete(tid);
  }

  /** The first question to each process of the host, so it costs one read only. */
  #looksLikeVmm(pid: number, { comm }: proc.Stat): boolean {
    return identifyVmm(proc.readArgs(this.#root, pid), comm) !== undefined;
  }

  /** A process whose first thread has ended lives on in the others. */
  #hasEnded(pid: number, stat: proc.Stat): boolean {
    return stat.dead && (proc.threadIds(this.#root, pid)?.length ?? 0) <= 1;
  }
}

function vmOf(process: proc.Process, ranVcpu: boolean): Mutable<Vm> | undefined {
  const { pid, startTime, args, comm } = process;
  const cgroup = parseCgroup(process.cgroup);
  const identity =
    identifyVmm(args, comm, cgroup.podUid !== undefined) ?? (ranVcpu ? unknownVmm(comm, args) : undefined);
  return identity === undefined ? undefined : newVm(pid, startTime, identity, cgroup);
}
