import { ForwardingSink, type MmioAccess, type TraceSink, type Vocabulary } from '../../trace/sink.js';

/** State of a thread between two userspace exits. */
interface ThreadState {
  /** True if the thread entered its guest, or completed an access for it, since the latest userspace exit. */
  entered: boolean;
  /** The reason that the text gave for that exit. */
  reason: number;
}

interface UndecidedExit {
  readonly timeNs: number;
  readonly cpu: number;
  readonly tid: number;
  readonly reason: number;
}

/** More threads than a host has vCPUs. Beyond it, states are forgotten. */
const MAX_THREADS = 65536;
/** Exits that wait for the first entry of the trace. */
const MAX_UNDECIDED = 1024;

/**
 * Finds the userspace exits that were failed calls of KVM_RUN, in text that libtraceevent formatted (trace-cmd report,
 * perf script).
 *
 * kvm_userspace_exit prints `restart` or `error` if its field errno is negative. libtraceevent takes the field for
 * unsigned, so it prints the field `reason` for such a call too, which holds what an earlier call left there:
 *
 *   kernel                                              libtraceevent
 *   kvm_exit: reason hlt ...                            kvm_exit: reason EXIT_HLT ...
 *   kvm_userspace_exit: reason KVM_EXIT_HLT (5)         kvm_userspace_exit: reason KVM_EXIT_HLT (5)
 *   kvm_userspace_exit: reason restart (4)              kvm_userspace_exit: reason KVM_EXIT_HLT (5)
 *
 * A call that succeeds enters the guest first, or completes an access that userspace answered (kvm_pio, kvm_mmio). So
 * the exit was a failed call if
 *
 * - its reason is KVM_EXIT_INTR, which KVM sets only when a signal interrupts the call, or
 * - its thread has done nothing of that since its latest userspace exit, and the reason can be a stale one: the same as
 *   that of the latest exit, or KVM_EXIT_UNKNOWN, with which a vCPU and newer kernels' calls begin.
 *
 * Entries (kvm_entry) or VM exits (kvm_exit) have to be in the trace: without them nothing but KVM_EXIT_INTR can be
 * told. Whether a call was interrupted or failed is not in the text either; all are counted as `restart`, which nearly
 * all of them are.
 */
export class FailedCalls extends ForwardingSink {
  readonly #restart: number;
  readonly #error: number;
  readonly #interrupted: number;
  readonly #unknown: number;
  readonly #threads = new Map<number, ThreadState>();
  #lastTid = 0;
  #lastState: ThreadState | undefined;
  /** True once the trace has shown an entry or a VM exit. */
  #showsEntries = false;
  /** True if the text has shown `restart` or `error`: then the kernel formatted it, and every reason is right. */
  #isExact = false;
  #undecided: UndecidedExit[] = [];
  /** Userspace exits in lines that do not name the thread. */
  #withoutThread = 0;
  /** Userspace exits before the first entry. */
  #beforeEntries = 0;

  constructor({ reasons }: Vocabulary, sink: TraceSink) {
    super(sink);
    this.#restart = reasons.id('restart');
    this.#error = reasons.id('error');
    this.#interrupted = reasons.id('KVM_EXIT_INTR');
    this.#unknown = reasons.id('KVM_EXIT_UNKNOWN');
  }

  /** Userspace exits of which it cannot be said whether they were failed calls. */
  get undecided(): number {
    return this.#isExact ? 0 : this.#withoutThread + this.#beforeEntries;
  }

  /** Events were lost: what threads did before is no longer known. */
  forget(): void {
    this.#threads.clear();
    this.#lastState = undefined;
    this.#lastTid = 0;
  }

  /** The text is over: without a single entry, nothing can be said of the exits that waited for one. */
  end(): void {
    for (const { timeNs, cpu, tid, reason } of this.#undecided) this.sink.userspaceExit(timeNs, cpu, tid, reason);
    this.#undecided = [];
  }

  /** The kernel formatted the text: every reason is right. */
  trustReasons(): void {
    this.#isExact = true;
  }

  override vmExit(timeNs: number, cpu: number, tid: number, vcpu: number, reason: number, info1: number): void {
    this.#enter(tid, true);
    super.vmExit(timeNs, cpu, tid, vcpu, reason, info1);
  }

  override vmEntry(timeNs: number, cpu: number, tid: number, vcpu: number): void {
    this.#enter(tid, true);
    super.vmEntry(timeNs, cpu, tid, vcpu);
  }

  override portIo(timeNs: number, cpu: number, tid: number, write: boolean, port: number, size: number): void {
    this.#enter(tid, false);
    super.portIo(timeNs, cpu, tid, write, port, size);
  }

  override mmio(timeNs: number, cpu: number, tid: number, access: MmioAccess, gpa: number): void {
    this.#enter(tid, false);
    super.mmio(timeNs, cpu, tid, access, gpa);
  }

  override threadExit(timeNs: number, cpu: number, tid: number): void {
    this.#threads.delete(tid);
    this.#lastTid = 0;
    this.#lastState = undefined;
    super.threadExit(timeNs, cpu, tid);
  }

  override userspaceExit(timeNs: number, cpu: number, tid: number, reason: number): void {
    if (reason === this.#restart || reason === this.#error) this.#isExact = true;
    if (this.#isExact)
      return this.sink.userspaceExit(timeNs, cpu, tid, reason === this.#interrupted ? this.#restart : reason);
    const isStale = tid > 0 && this.#mayBeStale(tid, reason);
    if (reason === this.#interrupted || (isStale && this.#showsEntries))
      return this.sink.userspaceExit(timeNs, cpu, tid, this.#restart);
    if (tid === 0) this.#withoutThread++;
    else if (!this.#showsEntries) this.#beforeEntries++;
    if (!isStale || this.#undecided.length >= MAX_UNDECIDED) return this.sink.userspaceExit(timeNs, cpu, tid, reason);
    this.#undecided.push({ timeNs, cpu, tid, reason });
  }

  /** Notes a userspace exit. True if its reason may be that of an earlier one. */
  #mayBeStale(tid: number, reason: number): boolean {
    const state = this.#stateOf(tid);
    const mayBeStale = state === undefined ? reason === this.#unknown : !state.entered && this.#isOld(state, reason);
    if (state === undefined) this.#add(tid, { entered: false, reason });
    else {
      state.entered = false;
      state.reason = reason;
    }
    return mayBeStale;
  }

  #isOld(state: ThreadState, reason: number): boolean {
    return reason === state.reason || reason === this.#unknown;
  }

  #enter(tid: number, isEntry: boolean): void {
    if (this.#isExact) return;
    if (isEntry && !this.#showsEntries) this.#decide();
    const state = this.#stateOf(tid);
    if (state !== undefined) state.entered = true;
    else this.#add(tid, { entered: true, reason: -1 });
  }

  /** The trace shows entries: the exits before which there was none were failed calls. */
  #decide(): void {
    this.#showsEntries = true;
    this.#beforeEntries = 0;
    for (const { timeNs, cpu, tid } of this.#undecided) this.sink.userspaceExit(timeNs, cpu, tid, this.#restart);
    this.#undecided = [];
  }

  #stateOf(tid: number): ThreadState | undefined {
    if (tid !== this.#lastTid) {
      this.#lastTid = tid;
      this.#lastState = this.#threads.get(tid);
    }
    return this.#lastState;
  }

  #add(tid: number, state: ThreadState): void {
    if (this.#threads.size >= MAX_THREADS) this.#threads.clear();
    this.#threads.set(tid, state);
    this.#lastTid = tid;
    this.#lastState = state;
  }
}
