/**
 * Who is who on this host (HOST): thread id -> VM and vCPU, kept up to date from /proc, live or saved.
 *
 * - `find` is one Map look-up, for the way of the events. Whom it does not know is reported by `requestLookup`.
 * - `resolvePending` looks up a few of those; what is not there is not looked for again for {@link RETRY_MS}.
 * - `notice` looks at processes that have just been started.
 * - `scan` goes over everything; see processes.ts for what it leaves out. VMMs are checked each time, their threads when new, once
 *   more in the scan after that, then in turns. A VMM that takes the place of a process between two of its turns is found by its
 *   first event.
 * - A process that no rule knows becomes a VM when it is seen to run a vCPU (`requestLookup(tid, true)`); that other processes raise
 *   kvm events (an interrupt handler, memory reclaim) does not make them VMs.
 * - A child of a VMM that looks like its parent is not a second VM: it is about to become another program, or one of crosvm's
 *   device processes.
 * - A recording's own list of threads (`addThread`) fills in where /proc has nothing; what /proc says wins.
 */

import { FreshProcesses } from './fresh-processes.js';
import { readDebugfsVcpus } from './host/debugfs.js';
import * as proc from './host/proc.js';
import { parseCgroup } from './identify/cgroup.js';
import { identifyVmm, unknownVmm } from './identify/cmdline.js';
import { vcpuOfComm, vmPidOfKernelThread } from './identify/comm.js';
import { type PendingLookup, PendingLookups } from './pending-lookups.js';
import { type NewVm, Processes } from './processes.js';
import { type RecordedThread, RecordedThreads } from './recorded-threads.js';
import { type Changes, ThreadTable } from './thread-table.js';
import { NO_START, newVm, type Thread, type Vm } from './vm.js';

export interface InventoryOptions {
  /** `/proc`, the host's /proc in a container, or a saved copy. */
  readonly procfs: string;
  /** A running system. In a saved copy nothing vanishes. */
  readonly live: boolean;
  /** Folder of KVM's debugfs files (`/sys/kernel/debug/kvm`), for vCPU threads without names. */
  readonly debugfs?: string;
  /** How long a stopped VM is kept. */
  readonly graceMs?: number;
}

const GRACE_MS = 5 * 60_000;
const RETRY_MS = 10_000;
const MAX_MISSES = 8192;
const MISSES_PER_CALL = 32;
/** A known thread is looked at again in one of so many scans. */
const THREAD_TURNS = 16;

export class Inventory {
  readonly #root: string;
  readonly #live: boolean;
  readonly #debugfs: string | undefined;
  readonly #graceMs: number;
  readonly #processes: Processes;
  readonly #fresh: FreshProcesses;
  readonly #table = new ThreadTable();
  readonly #recorded = new RecordedThreads();
  readonly #pending = new PendingLookups(MAX_MISSES, RETRY_MS);
  #scans = 0;

  constructor(options: InventoryOptions) {
    this.#root = options.procfs;
    this.#live = options.live;
    this.#debugfs = options.debugfs;
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.#processes = new Processes(options.procfs);
    this.#fresh = new FreshProcesses(options.procfs);
  }

  find(tid: number): Thread | undefined {
    return this.#table.find(tid);
  }

  /** Somebody asked for a thread that `find` does not know. `ranVcpu`: it did what only a vCPU's thread does. */
  requestLookup(tid: number, ranVcpu: boolean): void {
    if (tid > 0 && this.#table.find(tid) === undefined) this.#pending.add(tid, ranVcpu, -1);
  }

  /** An event carried the vCPU's number: that is KVM's own, so it goes before names. */
  learnVcpu(tid: number, vcpu: number): void {
    if (this.#table.find(tid) !== undefined) this.#table.learn(tid, vcpu);
    else if (tid > 0) this.#pending.add(tid, true, vcpu);
  }

  /** The recording names a thread; `tgid` -1 where it does not tell the process. */
  addThread(tid: number, tgid: number, comm: string): void {
    const known = this.#table.find(tid);
    if (tid <= 0 || (known !== undefined && known.startTime !== NO_START)) return;
    const recorded = this.#recorded.add(tid, tgid, comm);
    const vm = this.#table.vmOf(recorded.pid);
    if (vm !== undefined) this.#follow(vm, recorded);
    else if (!this.#live && recorded.pid > 0 && vcpuOfComm(comm) >= 0) this.#startRecorded(recorded);
  }

  /**
   * The thread that calls itself `tid` in its own pid namespace, of the VMM process `pid` (the host's id) or of any. A thread that has
   * this id on the host goes first; undefined where several VMs have one.
   */
  byNamespacedTid(pid: number | undefined, tid: number): Thread | undefined {
    const exact = this.#table.find(tid);
    if (exact !== undefined && (pid === undefined || exact.vm.pid === pid)) return exact;
    return this.#table.findInner(pid, tid);
  }

  /** The VMs that run, and those that stopped within the grace period. */
  vms(): readonly Vm[] {
    return this.#table.vms();
  }

  /** The kernel's own threads that work for a VM that runs. */
  helpers(): number[] {
    return this.#table.helpers();
  }

  /** vCPU threads known of a running VM. */
  vcpuCount(vm: Vm): number {
    return this.#table.vcpuCount(vm);
  }

  /** Looks over the whole tree. Returns what changed since the last scan or resolvePending. */
  scan(nowMs: number): Changes {
    const pids = this.#processes.ids();
    this.#scans++;
    // Without an answer nothing is known, also not that all have vanished.
    if (pids !== undefined) {
      const found = pids.flatMap((pid) => this.#look(pid, nowMs) ?? []);
      if (this.#live) this.#dropVanished(new Set(pids), nowMs);
      this.#start(found, nowMs);
      for (const vm of this.#table.live()) this.#lookAtThreads(vm, nowMs);
      this.#assignHelpers(nowMs);
      this.#askDebugfs();
    }
    this.#table.expire(nowMs, this.#graceMs);
    return this.#table.takeChanges();
  }

  /** Looks at what has just been started: cheap enough for every drain, so that a VM is known which lives for a moment only. */
  notice(nowMs: number): Changes {
    const fresh = this.#fresh.next(nowMs);
    if (fresh.length > 0) {
      const found = fresh.flatMap((pid) => this.#check(pid, false, nowMs) ?? []);
      this.#start(found, nowMs);
      for (const pid of fresh) this.#lookAtThreads(this.#table.vmOf(pid), nowMs);
    }
    return this.#table.takeChanges();
  }

  /** This process makes a VM: `notice` looks at it for a while. */
  expect(pid: number, nowMs: number): void {
    this.#fresh.add(pid, nowMs);
  }

  /** For how long nothing was started on this host, as far as `notice` was asked. */
  idleMs(nowMs: number): number {
    return this.#fresh.idleMs(nowMs);
  }

  /** Looks up some of the threads that were missed. Costs nothing where there are none. */
  resolvePending(nowMs: number): Changes {
    const misses = this.#pending.take(MISSES_PER_CALL, nowMs);
    if (misses.length > 0) {
      const owners = this.#ownersOf(misses);
      const found = Array.from(owners).flatMap(([pid, ranVcpu]) => this.#check(pid, ranVcpu, nowMs) ?? []);
      this.#start(found, nowMs);
      for (const pid of owners.keys()) this.#lookAtThreads(this.#table.vmOf(pid), nowMs);
      this.#assignHelpers(nowMs);
      this.#askDebugfs();
      for (const miss of misses) this.#settle(miss, nowMs);
    }
    return this.#table.takeChanges();
  }

  #look(pid: number, nowMs: number): NewVm | undefined {
    if (this.#table.vmOf(pid) === undefined && this.#processes.skips(pid)) return undefined;
    return this.#check(pid, false, nowMs);
  }

  /** The VM that this process has become; stops the one that it was. */
  #check(pid: number, ranVcpu: boolean, nowMs: number): NewVm | undefined {
    const vm = this.#table.vmOf(pid);
    if (vm !== undefined) {
      if (this.#processes.isStill(vm)) return undefined;
      this.#table.stop(pid, nowMs);
    }
    return this.#processes.identify(pid, ranVcpu);
  }

  #start(found: readonly NewVm[], nowMs: number): void {
    if (this.#live) this.#stopNamesakes(found, nowMs);
    const vmms = new Set(found.map(({ vm }) => vm.pid));
    const isVmm = (pid: number): boolean => vmms.has(pid) || this.#table.vmOf(pid) !== undefined;
    const started = found.filter(({ parent }) => !isVmm(parent));
    if (started.length > 0) this.#table.start(started.map(({ vm }) => vm));
  }

  /** A VM that is started again at once must not find its name taken by itself, whose end no scan has seen yet. */
  #stopNamesakes(found: readonly NewVm[], nowMs: number): void {
    const names = new Set(found.map(({ vm }) => vm.name));
    for (const vm of this.#table.live())
      if (names.has(vm.name) && !this.#processes.isStill(vm)) this.#table.stop(vm.pid, nowMs);
  }

  #dropVanished(pids: ReadonlySet<number>, nowMs: number): void {
    for (const vm of this.#table.live()) if (!pids.has(vm.pid)) this.#table.stop(vm.pid, nowMs);
    this.#processes.forgetVanished(pids);
  }

  #lookAtThreads(vm: Vm | undefined, nowMs: number): void {
    if (vm === undefined || vm.startTime === NO_START) return;
    const tids = proc.threadIds(this.#root, vm.pid);
    if (tids === undefined) return; // it has just ended: the next scan says so
    for (const tid of tids) this.#lookAtThread(vm, tid);
    this.#table.sweep(vm, new Set(tids), nowMs);
    for (const recorded of this.#recorded.of(vm.pid)) this.#follow(vm, recorded);
    if (vm.podUid === '' && vm.sandbox !== '') this.#findPod(vm, tids);
  }

  #lookAtThread(vm: Vm, tid: number): void {
    const found = this.#table.find(tid);
    const known = found?.vm === vm ? found : undefined;
    if (known?.settled && !known.gone && (tid + this.#scans) % THREAD_TURNS !== 0) return;
    const stat = proc.readThreadStat(this.#root, vm.pid, tid);
    if (stat === undefined) return;
    const innerTid = known?.startTime === stat.startTime ? known.innerTid : this.#innerTid(vm, tid);
    this.#table.see(vm, { tid, startTime: stat.startTime, comm: stat.comm, innerTid, outside: false });
  }

  #innerTid(vm: Vm, tid: number): number {
    // A VMM in our own namespace says so by its first thread, for all of them.
    const main = this.#table.find(vm.pid);
    if (tid !== vm.pid && main?.vm === vm && main.innerTid === main.tid) return tid;
    return proc.innermostTid(this.#root, vm.pid, tid);
  }

  #findPod(vm: Vm, tids: readonly number[]): void {
    const tid = tids.find((candidate) => (this.#table.find(candidate)?.vcpu ?? -1) >= 0);
    if (tid === undefined) return;
    const { podUid } = parseCgroup(proc.readThreadCgroup(this.#root, vm.pid, tid));
    if (podUid !== undefined) this.#table.setPod(vm, podUid);
  }

  #assignHelpers(nowMs: number): void {
    const { helpers } = this.#processes;
    for (const tid of this.#table.helpers()) if (!helpers.has(tid)) this.#table.leave(tid, nowMs);
    for (const [tid, { comm, startTime }] of helpers) {
      const known = this.#table.find(tid);
      if (known?.startTime === startTime && !known.gone) continue;
      // The name has the VMM's id as the VMM sees it; and it can't have been made before the VMM.
      const vm = this.byNamespacedTid(undefined, vmPidOfKernelThread(comm))?.vm;
      if (vm === undefined || vm.startTime > startTime) continue;
      this.#table.see(vm, { tid, startTime, comm, innerTid: tid, outside: true });
    }
  }

  #askDebugfs(): void {
    if (this.#debugfs === undefined) return;
    if (this.#table.live().every((vm) => this.#table.vcpuCount(vm) > 0)) return;
    for (const [tid, vcpu] of readDebugfsVcpus(this.#debugfs)) {
      const thread = this.#table.find(tid);
      if (thread !== undefined && thread.vcpu < 0) thread.vcpu = vcpu;
    }
  }

  /** Process -> whether one of its threads ran a vCPU. */
  #ownersOf(misses: readonly PendingLookup[]): Map<number, boolean> {
    const owners = new Map<number, boolean>();
    for (const { tid, ranVcpu } of misses) {
      const pid = proc.tgidOf(this.#root, tid);
      const recorded = this.#recorded.get(tid);
      if (pid !== undefined) owners.set(pid, ranVcpu || owners.get(pid) === true);
      // Gone, or a saved copy that does not have it: the recording may know whose it was.
      else if (recorded !== undefined && recorded.pid > 0 && ranVcpu) this.#startRecorded(recorded);
    }
    return owners;
  }

  #settle(miss: PendingLookup, nowMs: number): void {
    if (this.#table.find(miss.tid) === undefined) this.#pending.absent(miss, nowMs);
    else if (miss.vcpu >= 0) this.#table.learn(miss.tid, miss.vcpu);
  }

  #startRecorded({ pid }: RecordedThread): void {
    const comm = this.#recorded.get(pid)?.comm ?? '';
    const identity = { ...(identifyVmm([comm], comm) ?? unknownVmm(comm)), name: '' };
    if (this.#table.vmOf(pid) === undefined) this.#table.start([newVm(pid, NO_START, identity, {})]);
    const vm = this.#table.vmOf(pid);
    for (const recorded of this.#recorded.of(pid)) if (vm !== undefined) this.#follow(vm, recorded);
  }

  #follow(vm: Vm, { tid, comm }: RecordedThread): void {
    const known = this.#table.find(tid);
    if (known !== undefined && known.startTime !== NO_START) return;
    this.#table.see(vm, { tid, startTime: NO_START, comm, innerTid: tid, outside: true });
  }
}
