import { type DurationHistogram, newHistogram, recordDuration } from '../counters/duration-histogram.js';
import { KeyTable } from '../counters/key-table.js';
import { ExitDurations } from './exit-durations.js';

const NO_REASON = -1;

/** Kind of a reason: the guest idles during such an exit (HLT). */
export const IDLE = 1;
/** Kind of a reason: a signal interrupted KVM_RUN. */
export const INTERRUPTED = 2;

/** An interrupted VMM returns within milliseconds. If it takes longer, the VM is paused: no time is lost to exits. */
const PAUSED_NS = 1e8;

/** A leg that takes longer may include a wait for a host CPU: running code leaves its leg within microseconds. */
const LONG_NS = 1e5;

/**
 * Follows one vCPU between guest, KVM and userspace, and measures how long it is away from the guest:
 *
 *   guest ─ exit ─► KVM ─ userspaceExit ─► QEMU
 *     ▲              │                      │
 *     └─── entry ────┴──────────────────────┘
 *
 * A leg has time only if the events around it prove where the vCPU was. Some kernels raise no entries, or not for all
 * vCPUs: then two userspace exits may have anything in between. So no leg has time before the first entry of the vCPU,
 * and a leg between two userspace exits only has time if the exit before the first one was seen.
 *
 * An entry ends the exit before it. If KVM handled the exit, its duration counts under layer kvm. If userspace did, the
 * time since KVM_RUN returned counts under layer qemu. Every exit without such a pair is counted as forwarded (layer
 * kvm, on its way to userspace) or as unpaired: the next event was another exit (the vCPU did not enter the guest), the
 * entry is older than the exit (the clock stepped back), or events were lost.
 */
export class ExitTimer {
  /**
   * Time of the next event. A field and not a parameter, because V8 boxes a double that it passes to a call it does not
   * inline.
   */
  nowNs = Number.NaN;
  /** True while userspace answers the access whose key is the latest of {@link accesses}. */
  isAccessOpen = false;
  /** Table that gets the time of accesses. */
  readonly accesses: KeyTable;
  /** The VM's durations once {@link useSharedHistogram} was called. */
  durations = new ExitDurations();
  /** Time in the guest. */
  guestNs = 0;
  /** Time in KVM, including the way to userspace. */
  kvmNs = 0;
  /** Time in userspace. */
  qemuNs = 0;
  /** Time in KVM or userspace in which an idle guest waited to be woken. */
  idleNs = 0;
  /** The parts of the three times above in legs that may include a wait for a host CPU. */
  longKvmNs = 0;
  longQemuNs = 0;
  longIdleNs = 0;
  /** Time of the open leg that {@link settle} has not counted, because it depends on how the leg ends. */
  pendingNs = 0;
  /** Exits that KVM forwarded to userspace. */
  forwarded = 0;
  unpairedKvm = 0;
  unpairedQemu = 0;
  readonly #kinds: Uint8Array;
  #sawEntry = false;
  /** True if the exit that led to the open userspace exit was seen, or to the first of several in a row. */
  #sawExit = false;
  /** True if a signal interrupted KVM_RUN while the guest was idle: it is still idle, and waits in KVM. */
  #isHalted = false;
  /**
   * Reason of the exit that the vCPU is in KVM for. It is in the guest, or its place is unknown, if neither reason is
   * set.
   */
  #exitReason = NO_REASON;
  /** Reason of the userspace exit that the vCPU is in userspace for. */
  #userspaceReason = NO_REASON;
  /** True from an entry to the next event. */
  #isInGuest = false;
  /** Time of the event that began the leg. */
  #sinceNs = Number.NaN;
  /** Time until which the leg is counted: its beginning, or the latest {@link settle}. */
  #countedToNs = Number.NaN;
  /** Duration that the event being processed ends. */
  #durationNs = Number.NaN;

  /**
   * @param kinds by reason: {@link IDLE}, {@link INTERRUPTED}, or 0
   * @param accesses see {@link accesses}
   */
  constructor(kinds: Uint8Array, accesses = new KeyTable()) {
    this.#kinds = kinds;
    this.accesses = accesses;
  }

  /** Hardware reason of the open exit, -1 if there is none. */
  get openReason(): number {
    return this.#exitReason;
  }

  /** True if an event has shown where the vCPU is. */
  get isPlaceKnown(): boolean {
    return this.#isInGuest || this.#exitReason !== NO_REASON || this.#userspaceReason !== NO_REASON;
  }

  /** True once events show where the vCPU spends its time. */
  get provesTime(): boolean {
    return this.#sawEntry;
  }

  exit(reason: number): void {
    if (this.#isInGuest) {
      this.#addGuestTime();
      this.#isInGuest = false;
    } else this.abandon();
    this.#exitReason = reason;
    this.#beginLeg();
  }

  userspaceExit(reason: number): void {
    this.#durationNs = this.nowNs - this.#sinceNs;
    if (this.#userspaceReason !== NO_REASON) {
      // Userspace called KVM_RUN, which returned at once: the time until now was spent in userspace, for the reason
      // before.
      this.unpairedQemu++;
      this.isAccessOpen = false;
      if (this.#sawExit && this.#sawEntry) this.#addUserspaceTime();
    } else if (this.#exitReason !== NO_REASON) {
      this.forwarded++;
      if (this.#sawEntry) this.#addTime(this.#exitReason, true);
      this.#sawExit = true;
      this.#isHalted = this.#kinds[this.#exitReason] === IDLE && this.#kinds[reason] === INTERRUPTED;
      this.#exitReason = NO_REASON;
    } else {
      this.#sawExit = false;
      this.#isHalted = false;
      this.#isInGuest = false;
    }
    this.#userspaceReason = reason;
    this.#beginLeg();
  }

  entry(): void {
    this.#sawEntry = true;
    this.#isInGuest = true;
    this.#durationNs = this.nowNs - this.#sinceNs;
    // Negative if the clock stepped back, NaN if the clock does not count time.
    if (!(this.#durationNs >= 0)) this.#countUnpaired();
    else if (this.#userspaceReason !== NO_REASON) this.#endUserspaceExit();
    else if (this.#exitReason !== NO_REASON) {
      this.#record(this.durations.kvm, this.#exitReason);
      this.#addTime(this.#exitReason, true);
    }
    this.#userspaceReason = NO_REASON;
    this.#exitReason = NO_REASON;
    this.#beginLeg();
  }

  /** Counts the open exit as unpaired, because the event that ended it is unknown. */
  abandon(): void {
    this.#countUnpaired();
    this.isAccessOpen = false;
    this.#exitReason = NO_REASON;
    this.#userspaceReason = NO_REASON;
    this.#isInGuest = false;
  }

  /**
   * Counts the time of the open leg until `toNs`: a vCPU can stay in one place for hours. Call it when all events until
   * then are counted. Time after an interrupted KVM_RUN stays open until it is known whether the VM is paused.
   */
  settle(toNs: number): void {
    this.pendingNs = 0;
    if (!(toNs > this.#countedToNs) || !this.#sawEntry) return;
    const lastEventNs = this.nowNs;
    this.nowNs = toNs;
    this.#durationNs = toNs - this.#sinceNs;
    if (this.#kinds[this.#userspaceReason] === INTERRUPTED && !this.#isHalted) {
      if (!this.#isPaused()) this.pendingNs = this.#durationNs;
    } else {
      if (this.#isInGuest) this.#addGuestTime();
      else if (this.#userspaceReason !== NO_REASON) this.#addUserspaceTime();
      else if (this.#exitReason !== NO_REASON) this.#addTime(this.#exitReason, true);
      this.#countedToNs = toNs;
    }
    this.nowNs = lastEventNs;
  }

  /**
   * Counts durations in the histograms of the VM from now on. Durations counted so far are added to them, unless they
   * are those of another VM already, which keeps them.
   */
  useSharedHistogram(durations: ExitDurations): void {
    if (!this.durations.isShared) durations.add(this.durations);
    this.durations = durations;
  }

  /** Adds the counts of `from`. Its open exit counts as unpaired. */
  absorb(from: ExitTimer): void {
    from.abandon();
    this.#sawEntry ||= from.#sawEntry;
    this.guestNs += from.guestNs;
    this.kvmNs += from.kvmNs;
    this.qemuNs += from.qemuNs;
    this.idleNs += from.idleNs;
    this.longKvmNs += from.longKvmNs;
    this.longQemuNs += from.longQemuNs;
    this.longIdleNs += from.longIdleNs;
    this.forwarded += from.forwarded;
    this.unpairedKvm += from.unpairedKvm;
    this.unpairedQemu += from.unpairedQemu;
    if (from.durations.isShared) this.useSharedHistogram(from.durations);
    else this.durations.add(from.durations);
  }

  /** Number of open exits: 0 or 1. */
  get openKvm(): number {
    return this.#exitReason === NO_REASON ? 0 : 1;
  }

  /** Number of open userspace exits: 0 or 1. */
  get openQemu(): number {
    return this.#userspaceReason === NO_REASON ? 0 : 1;
  }

  /** A vCPU that is halted or paused is not in userspace for all of the time, so its exit has no duration. */
  #endUserspaceExit(): void {
    if (this.isAccessOpen) {
      this.accesses.timeNs = this.#durationNs;
      this.accesses.addTime();
      this.isAccessOpen = false;
    }
    if (this.#isHalted || this.#isPaused()) this.unpairedQemu++;
    else this.#record(this.durations.qemu, this.#userspaceReason);
    this.#addUserspaceTime();
  }

  #addUserspaceTime(): void {
    if (this.#isHalted) this.#addIdleTime();
    else if (!this.#isPaused()) this.#addTime(this.#userspaceReason, false);
  }

  #isPaused(): boolean {
    return this.#kinds[this.#userspaceReason] === INTERRUPTED && this.#durationNs > PAUSED_NS;
  }

  #record(histograms: (DurationHistogram | undefined)[], reason: number): void {
    let histogram = histograms[reason];
    if (histogram === undefined) {
      histogram = newHistogram();
      histograms[reason] = histogram;
    }
    recordDuration(histogram, this.#durationNs);
  }

  #addTime(reason: number, isInKernel: boolean): void {
    if (this.#kinds[reason] === IDLE) return this.#addIdleTime();
    const ns = this.nowNs - this.#countedToNs;
    if (!(ns > 0)) return;
    const longNs = this.#durationNs > LONG_NS ? ns : 0;
    if (isInKernel) {
      this.kvmNs += ns;
      this.longKvmNs += longNs;
    } else {
      this.qemuNs += ns;
      this.longQemuNs += longNs;
    }
  }

  #addIdleTime(): void {
    const ns = this.nowNs - this.#countedToNs;
    if (!(ns > 0)) return;
    this.idleNs += ns;
    if (this.#durationNs > LONG_NS) this.longIdleNs += ns;
  }

  #addGuestTime(): void {
    const ns = this.nowNs - this.#countedToNs;
    if (ns > 0) this.guestNs += ns;
  }

  #beginLeg(): void {
    this.#sinceNs = this.nowNs;
    this.#countedToNs = this.nowNs;
  }

  #countUnpaired(): void {
    if (this.#exitReason !== NO_REASON) this.unpairedKvm++;
    if (this.#userspaceReason !== NO_REASON) this.unpairedQemu++;
  }
}
