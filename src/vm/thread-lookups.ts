import * as proc from './host/proc.js';
import type { NewCandidates } from './new-candidates.js';
import type { RecordedThreads } from './recorded-threads.js';
import { type PendingLookup, PendingLookups } from './tables/pending-lookups.js';
import { ThreadOrigins } from './tables/thread-origins.js';
import type { StartToMs, ThreadTable } from './tables/thread-table.js';
import type { Vm } from './tables/vm.js';
import type { VmTable } from './tables/vm-table.js';
import type { VmLives } from './vm-lives.js';

export interface ThreadLookupsOptions {
  readonly procfs: string;
  readonly lives: VmLives;
  readonly candidates: NewCandidates;
  readonly recorded: RecordedThreads;
  readonly vms: VmTable;
  readonly threads: ThreadTable;
  /** The VM that a thread belonged to at a time. */
  readonly vmOf: (tid: number, atMs: number) => Vm | undefined;
  /** Converts a start time of /proc. */
  readonly toMs: StartToMs;
}

/** Pause before a thread that was not found is looked up again. */
const RETRY_MS = 10_000;
const MAX_PENDING = 8192;
const LOOKUPS_AT_ONCE = 32;

/**
 * Threads that raised events and that the inventory does not know yet (HOST): which process each of them belongs to, or
 * belonged to before it ended.
 */
export class ThreadLookups {
  /** True if a known thread runs a vCPU whose number is not known. */
  isVcpuMissing = false;
  readonly #root: string;
  readonly #lives: VmLives;
  readonly #candidates: NewCandidates;
  readonly #recorded: RecordedThreads;
  readonly #vms: VmTable;
  readonly #threads: ThreadTable;
  readonly #vmOf: ThreadLookupsOptions['vmOf'];
  readonly #toMs: StartToMs;
  readonly #origins = new ThreadOrigins();
  readonly #pending = new PendingLookups(MAX_PENDING, RETRY_MS);

  constructor({ procfs, lives, candidates, recorded, vms, threads, vmOf, toMs }: ThreadLookupsOptions) {
    this.#root = procfs;
    this.#lives = lives;
    this.#candidates = candidates;
    this.#recorded = recorded;
    this.#vms = vms;
    this.#threads = threads;
    this.#vmOf = vmOf;
    this.#toMs = toMs;
  }

  /** True if threads wait for {@link take}. */
  get hasPending(): boolean {
    return !this.#pending.isEmpty;
  }

  /**
   * Asks for a thread.
   * @param ranVcpu true if it did what only a vCPU's thread does
   * @param atMs when it raised an event; NaN: that is not known, or the trace shows that it has ended since
   */
  request(tid: number, ranVcpu: boolean, atMs: number, nowMs: number): void {
    if (tid <= 0) return;
    if (!this.#threads.isAlive(tid)) {
      const endMs = this.#origins.endOf(tid);
      const isAdopted = ranVcpu && !Number.isNaN(endMs) && this.#adopt(tid, nowMs);
      if (!isAdopted) this.#pending.add(tid, ranVcpu, -1, Number.isNaN(atMs) ? endMs : atMs);
    } else if (ranVcpu && (this.#threads.find(tid)?.vcpu ?? -1) < 0) this.isVcpuMissing = true;
  }

  learnVcpu(tid: number, vcpu: number): void {
    if (this.#threads.isAlive(tid)) this.#threads.setVcpu(tid, vcpu);
    else if (tid > 0) this.#pending.add(tid, true, vcpu);
  }

  startThread(creator: number, tid: number, atMs: number, nowMs: number): void {
    this.#origins.add(tid, creator, atMs);
    this.#pending.retry(tid);
    if (!Number.isNaN(this.#origins.endOf(tid))) this.#adopt(tid, nowMs);
  }

  endThread(tid: number, atMs: number, nowMs: number): void {
    this.#origins.end(tid, atMs);
    if (!this.#threads.isAlive(tid)) this.#adopt(tid, nowMs);
    this.#threads.exit(tid, atMs, this.#toMs);
  }

  /** Returns some of the threads that were asked for; {@link finish} each. */
  take(nowMs: number): readonly PendingLookup[] {
    return this.#pending.take(LOOKUPS_AT_ONCE, nowMs, (tid) => this.#threads.isAlive(tid));
  }

  /** The processes of these threads, each with whether one of its threads ran a vCPU. */
  processesOf(lookups: readonly PendingLookup[], nowMs: number): [pid: number, ranVcpu: boolean][] {
    const processes = new Map<number, boolean>();
    for (const { tid, ranVcpu, atMs } of lookups) {
      const pid = this.#processOf(tid, atMs);
      if (pid !== undefined) processes.set(pid, ranVcpu || processes.get(pid) === true);
      // The thread has ended, or the saved copy does not have it.
      else if (ranVcpu && !this.#startCandidateOf(tid, atMs, nowMs)) {
        const origin = this.#origins.trace(tid, nowMs, (creator, startMs) => this.#processOf(creator, startMs));
        if (origin !== undefined) processes.set(origin, true);
        else if (!this.#startCandidateOfCreator(tid, nowMs)) this.#startRecorded(tid);
      }
    }
    return [...processes];
  }

  /** The processes of the threads have been checked: those that are still unknown are asked for again, but not soon. */
  finish(lookups: readonly PendingLookup[], nowMs: number): void {
    for (const lookup of lookups) {
      const { tid, vcpu, ranVcpu, atMs } = lookup;
      const isFound = () => this.#adopt(tid, nowMs) || this.#startCandidateOf(tid, atMs, nowMs);
      if (this.#threads.isAlive(tid) || (ranVcpu && isFound())) {
        if (vcpu >= 0) this.#threads.setVcpu(tid, vcpu);
        // After its end, its id can only be asked for again because another thread has it.
      } else if (!(atMs <= this.#origins.endOf(tid))) this.#pending.fail(lookup, nowMs);
    }
  }

  /**
   * The process of the thread that had this id at a time. The id may be that of another thread by now: that one began
   * later, or the trace shows the end of the first.
   */
  #processOf(tid: number, atMs: number): number | undefined {
    if (atMs <= this.#origins.endOf(tid)) return undefined;
    const pid = proc.tgidOf(this.#root, tid);
    if (pid === undefined || Number.isNaN(atMs)) return pid;
    const stat = proc.readThreadStat(this.#root, pid, tid);
    return stat !== undefined && this.#canBeFrom(stat.startTime, atMs) ? pid : undefined;
  }

  /** False if a thread with this start time began after `atMs`. */
  #canBeFrom(startTime: number, atMs: number): boolean {
    return !(atMs < this.#toMs(startTime) - proc.START_ERROR_MS);
  }

  /** Adds a thread that has ended to the VM of the thread that started it. Returns false if that is not known. */
  #adopt(tid: number, nowMs: number): boolean {
    const vm = this.#origins.trace(tid, nowMs, this.#vmOf);
    const endMs = this.#origins.endOf(tid);
    if (vm === undefined || (Number.isNaN(endMs) && proc.tgidOf(this.#root, tid) !== undefined)) return false;
    this.#threads.adopt(vm, tid, this.#origins.startOf(tid), Number.isNaN(endMs) ? nowMs : endMs, nowMs);
    this.#origins.forget(tid);
    return true;
  }

  /** Starts the VM that had this thread while it was a candidate. Returns false if none had it. */
  #startCandidateOf(tid: number, atMs: number, nowMs: number): boolean {
    const canBe = (startTime: number) => this.#canBeFrom(startTime, atMs);
    const candidate = this.#candidates.take(tid, this.#processOf(tid, atMs), canBe);
    if (candidate === undefined) return false;
    const { vm } = candidate.found;
    if (this.#vms.runningAt(vm.pid) === undefined) this.#lives.start([candidate.found], nowMs);
    if (this.#vms.isRunning(vm)) for (const thread of candidate.threads) this.#threads.see(vm, thread, nowMs);
    return true;
  }

  /** Starts the VM of a candidate that started this thread after its threads were read. False if there is none. */
  #startCandidateOfCreator(tid: number, nowMs: number): boolean {
    const start = (creator: number, startMs: number) => this.#startCandidateOf(creator, startMs, nowMs) || undefined;
    return this.#origins.trace(tid, nowMs, start) === true;
  }

  #startRecorded(tid: number): void {
    const pid = this.#recorded.find(tid)?.pid ?? -1;
    if (pid > 0) this.#recorded.startVm(pid);
  }
}
