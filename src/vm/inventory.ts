/**
 * Knows which thread belongs to which VM and vCPU (HOST), kept up to date from /proc, live or saved.
 *
 * - `find` is one Map look-up. A thread that it does not know is reported by `requestLookup`.
 * - `resolvePending` looks up a few of the requested threads; one that is not found is not looked up again for 10 s.
 * - `checkNewProcesses` checks processes that have just been started.
 * - `scan` checks everything; see vmm-finder.ts for what it leaves out. VMMs are checked each time, their threads when
 *   new, once more in the scan after that, then in turns. A VMM that takes the place of a process between two turns is
 *   found by its first event.
 * - A process that looks like a VMM becomes a VM when KVM shows one (host/kvm-processes.ts), any other process when it
 *   is seen to run a vCPU (`requestLookup(tid, true)`). Other processes raise kvm events too (an interrupt handler,
 *   memory reclaim) and do not become VMs.
 * - A child of a VMM that looks like its parent is no second VM: it is about to become another program, or it is one of
 *   crosvm's device processes.
 * - A trace's own list of threads (`addThread`) fills in what /proc does not have.
 */
import { KvmProcesses } from './host/kvm-processes.js';
import * as proc from './host/proc.js';
import { vcpuOfComm } from './identify/comm.js';
import { NewCandidates } from './new-candidates.js';
import { NewProcesses } from './new-processes.js';
import { ProcessChecks } from './process-checks.js';
import { RecordedThreads } from './recorded-threads.js';
import type { NotedVm } from './tables/noted-vm.js';
import { LINGER_MS, ThreadTable } from './tables/thread-table.js';
import { NO_START, type Thread, type Vm } from './tables/vm.js';
import { type VmChanges, VmTable } from './tables/vm-table.js';
import { ThreadLookups } from './thread-lookups.js';
import { ThreadScanner } from './thread-scanner.js';
import { VmLives } from './vm-lives.js';
import { type Impostor, VmmFinder } from './vmm-finder.js';

export interface InventoryOptions {
  /** `/proc`, in a container the host's /proc, or a saved copy. */
  readonly procfs: string;
  /** True for a running system; nothing vanishes from a saved copy. */
  readonly live: boolean;
  /** Folder of KVM's debugfs files (`/sys/kernel/debug/kvm`), for vCPU threads without names. */
  readonly debugfs?: string;
  /**
   * True: where neither debugfs nor the descriptors of a process can be read, a process that looks like a VMM counts as
   * a VM, up to {@link MAX_TRUSTED}. For a caller that sees no vCPU run.
   */
  readonly trustsCommandLines?: boolean;
  /** How long a stopped VM is kept; at least {@link LINGER_MS}. */
  readonly graceMs?: number;
}

/** What changed since the last call that returned changes. */
export interface InventoryChanges extends VmChanges {
  /**
   * Thread ids that no longer mean the thread they meant, because it ended or because the kernel gave the id to another
   * thread.
   */
  readonly freedTids: readonly number[];
}

const GRACE_MS = 5 * 60_000;
/** Running VMs above which command lines are not trusted. */
const MAX_TRUSTED = 256;
const NO_CHANGES: InventoryChanges = { started: [], stopped: [], forgotten: [], freedTids: [] };
/** Time after which a call of `resolvePending` leaves threads to the next one. */
const LOOKUP_BUDGET_MS = 10;

export class Inventory {
  readonly #root: string;
  readonly #live: boolean;
  readonly #graceMs: number;
  readonly #vmmFinder: VmmFinder;
  readonly #lives: VmLives;
  readonly #newProcesses: NewProcesses;
  readonly #newCandidates: NewCandidates;
  readonly #vms = new VmTable();
  readonly #threads = new ThreadTable();
  readonly #checks: ProcessChecks;
  readonly #lookups: ThreadLookups;
  readonly #recorded = new RecordedThreads(this.#vms, this.#threads);
  #scans = 0;
  /** Converts a start time; NaN if /proc does not tell when the host was started. */
  readonly #toMs = (startTime: number): number => this.#bootMs + startTime * proc.MS_PER_TICK;
  /** Time of the latest scan or look-up. */
  #nowMs = Number.NEGATIVE_INFINITY;
  /** Time at which the host was started; NaN if /proc does not tell. */
  #bootMs = Number.NaN;

  constructor({ procfs, live, debugfs, trustsCommandLines = false, graceMs = GRACE_MS }: InventoryOptions) {
    this.#root = procfs;
    this.#live = live;
    // While a thread lingers, its last events may still be in the buffers.
    this.#graceMs = Math.max(graceMs, LINGER_MS);
    const vms = this.#vms;
    const threads = this.#threads;
    const recorded = this.#recorded;
    const kvm = live
      ? new KvmProcesses({
          procfs,
          debugfs,
          trusted: () => (trustsCommandLines ? MAX_TRUSTED - vms.runningCount : 0),
          knownPidOf: (tid) => this.#runningPidOf(tid),
        })
      : undefined;
    const finder = new VmmFinder(procfs, kvm);
    const lives = new VmLives({ procfs, live, kvm, finder, vms, threads });
    const scanner = new ThreadScanner(procfs, vms, threads);
    this.#vmmFinder = finder;
    this.#lives = lives;
    this.#checks = new ProcessChecks({ kvm, finder, lives, scanner, recorded, vms, debugfs });
    this.#newProcesses = new NewProcesses(procfs);
    this.#newCandidates = new NewCandidates(procfs);
    this.#lookups = new ThreadLookups({
      procfs,
      lives,
      candidates: this.#newCandidates,
      recorded,
      vms,
      threads,
      vmOf: (tid, atMs) => this.find(tid, atMs)?.vm,
      toMs: (startTime) => this.#toMs(startTime),
    });
  }

  get hasRunningVms(): boolean {
    return this.#vms.runningCount > 0;
  }

  /** The thread that had this id at a time; the latest one if `atMs` is NaN. */
  find(tid: number, atMs = Number.NaN): Thread | undefined {
    return this.#threads.findAt(tid, atMs, this.#toMs, proc.START_ERROR_MS);
  }

  /**
   * Asks for a thread that `find` does not know.
   * @param ranVcpu true if it did what only a vCPU's thread does
   * @param atMs when it raised an event; NaN: that is not known, or the trace shows that it has ended since
   */
  requestLookup(tid: number, ranVcpu: boolean, atMs = Number.NaN): void {
    this.#lookups.request(tid, ranVcpu, atMs, this.#nowMs);
  }

  /** The kernel's trace shows that thread `creator` started a thread of its process at `atMs`. */
  startThread(creator: number, tid: number, atMs: number): void {
    this.#lookups.startThread(creator, tid, atMs, this.#nowMs);
  }

  /** The kernel's trace shows that the thread with this id ended at `atMs`. */
  endThread(tid: number, atMs: number): void {
    this.#lookups.endThread(tid, atMs, this.#nowMs);
  }

  /** Sets the vCPU of a thread from an event: the event has KVM's own number, which the thread's name need not have. */
  learnVcpu(tid: number, vcpu: number): void {
    this.#lookups.learnVcpu(tid, vcpu);
  }

  /** Adds a thread that a trace names. `tgid` is -1 if the trace does not tell the process. */
  addThread(tid: number, tgid: number, comm: string): void {
    const known = this.#threads.find(tid);
    if (tid <= 0 || (known !== undefined && known.startTime !== NO_START)) return;
    const recorded = this.#recorded.add(tid, tgid, comm);
    const vm = this.#vms.runningAt(recorded.pid);
    if (vm !== undefined) this.#recorded.join(vm, recorded);
    else if (!this.#live && recorded.pid > 0 && vcpuOfComm(comm) >= 0) this.#recorded.startVm(recorded.pid);
  }

  /** Adds the VMs that a recording names. */
  addNotedVms(noted: readonly NotedVm[]): void {
    this.#vms.start(noted.map(({ vm }) => vm));
    for (const { vm, threads } of noted)
      for (const [tid, comm] of threads)
        this.#threads.see(vm, { tid, startTime: vm.startTime, comm, innerTid: tid, unlisted: false }, this.#nowMs);
  }

  /**
   * The thread with this id on the host, else the live thread with this id in its VM's own pid namespace; in process
   * `pid` (an id of the host) or, if that is undefined, in any. Undefined if the threads of several VMs have the id.
   */
  findNamespaced(pid: number | undefined, tid: number): Thread | undefined {
    return this.#threads.findNamespaced(pid, tid);
  }

  /** Number of threads that a process has now. */
  threadCount(pid: number): number {
    return proc.threadIds(this.#root, pid)?.length ?? 0;
  }

  /** The VM has raised an event: its label is final from now on. Call it before the label is used for counts. */
  claimLabel(vm: Vm): void {
    this.#lives.claimLabel(vm, this.#nowMs);
  }

  /** The VMs that run, and those that stopped within the grace period. */
  vms(): readonly Vm[] {
    return this.#vms.all();
  }

  /** Ids of the kernel threads that work for a running VM. */
  kernelThreads(): number[] {
    return this.#threads.kernelThreads();
  }

  /** Processes that look like VMMs and have no VM; each is returned once, some time after its start. */
  takeImpostors(): readonly Impostor[] {
    return this.#vmmFinder.takeImpostors();
  }

  /** The threads of running VMs that are known to run vCPUs. */
  vcpuThreads(): IterableIterator<Thread> {
    return this.#threads.vcpuThreads();
  }

  /** Number of vCPUs of a running VM whose threads are known. */
  vcpuCount(vm: Vm): number {
    return this.#threads.vcpuCount(vm);
  }

  /** Number of calls of `scan`. */
  get scans(): number {
    return this.#scans;
  }

  /**
   * Checks the whole tree.
   * @param countedToMs time until which all events are counted: what ended later is kept
   */
  scan(nowMs: number, countedToMs = nowMs): InventoryChanges {
    this.#scans++;
    this.#nowMs = nowMs;
    this.#bootMs = proc.bootMs(this.#root, nowMs, this.#bootMs);
    if (this.#checks.checkDue(nowMs)) this.#lookups.isVcpuMissing = false;
    this.#threads.dropEnded(countedToMs);
    this.#vms.forgetStopped(countedToMs, this.#graceMs, LINGER_MS);
    return this.#takeChanges();
  }

  /**
   * Checks processes that have just been started: cheap enough to be called often, so that even a short-lived VM is
   * found.
   * @param onlyExpected true if a watcher reports new VMs to {@link expectVm}: only those are checked
   */
  checkNewProcesses(nowMs: number, onlyExpected = false): InventoryChanges {
    const pids = this.#newProcesses.find(nowMs, onlyExpected);
    if (pids.length === 0) return NO_CHANGES;
    this.#checks.check(
      pids.map((pid) => [pid, false]),
      nowMs,
    );
    for (const pid of pids)
      if (this.#vms.runningAt(pid) === undefined)
        this.#newCandidates.see(pid, () => this.#vmmFinder.candidate(pid), nowMs);
    return this.#takeChanges();
  }

  /** A thread is creating a VM: `checkNewProcesses` checks its process for a while. */
  expectVm(tid: number, nowMs: number): void {
    const pid = proc.tgidOf(this.#root, tid);
    if (pid !== undefined) this.#newProcesses.add(pid, nowMs);
  }

  /** Milliseconds since anything was started on this host, as of the last `checkNewProcesses`. */
  idleMs(nowMs: number): number {
    return this.#newProcesses.idleMs(nowMs);
  }

  /** True if threads wait for `resolvePending`. */
  get hasPending(): boolean {
    return this.#lookups.hasPending;
  }

  /** Looks up some of the threads that were asked for. Costs nothing if there are none. */
  resolvePending(nowMs: number): InventoryChanges {
    this.#nowMs = nowMs;
    const endMs = performance.now() + LOOKUP_BUDGET_MS;
    do this.#resolveSome(nowMs);
    while (this.hasPending && performance.now() < endMs);
    return this.#takeChanges();
  }

  #resolveSome(nowMs: number): void {
    const lookups = this.#lookups.take(nowMs);
    if (lookups.length > 0) this.#checks.check(this.#lookups.processesOf(lookups, nowMs), nowMs);
    if (lookups.length > 0 || this.#lookups.isVcpuMissing) {
      this.#lookups.isVcpuMissing = false;
      this.#checks.completeThreads(nowMs);
    }
    this.#lookups.finish(lookups, nowMs);
  }

  /** The process of a thread that is known to live. */
  #runningPidOf(tid: number): number | undefined {
    const vm = this.#threads.find(tid)?.hasEnded === false ? this.#threads.find(tid)?.vm : undefined;
    return vm !== undefined && this.#vms.isRunning(vm) ? vm.pid : undefined;
  }

  #takeChanges(): InventoryChanges {
    return { ...this.#vms.takeChanges(), freedTids: this.#threads.takeFreed() };
  }
}
