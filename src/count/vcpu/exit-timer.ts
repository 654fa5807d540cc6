import { type DurationHistogram, newHistogram, recordDuration } from '../counters/duration-histogram.js';
import { ExitDurations } from './exit-durations.js';

const NO_REASON = -1;

/**
 * Follows one vCPU between guest, KVM and userspace, and measures how long it is away from the guest:
 *
 *   guest ─ exit ─► KVM ─ userspaceExit ─► QEMU
 *     ▲              │                      │
 *     └─── entry ────┴──────────────────────┘
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
  /** The VM's durations once {@link useSharedHistogram} was called. */
  durations = new ExitDurations();
  /** Time in KVM, including the way to userspace. */
  kvmNs = 0;
  /** Time in userspace. */
  qemuNs = 0;
  /** Time in KVM or userspace in which an idle guest waited to be woken. */
  idleNs = 0;
  /** Exits that KVM forwarded to userspace. */
  forwarded = 0;
  unpairedKvm = 0;
  unpairedQemu = 0;
  readonly #isIdle: Uint8Array;
  /**
   * Reason of the exit that the vCPU is in KVM for. It is in the guest, or its place is unknown, if neither reason is
   * set.
   */
  #exitReason = NO_REASON;
  /** Reason of the userspace exit that the vCPU is in userspace for. */
  #userspaceReason = NO_REASON;
  /** Time of the event that set the reason. */
  #sinceNs = Number.NaN;
  /** Duration that the event being processed ends. */
  #durationNs = Number.NaN;

  /** @param isIdle by reason: 1 if the guest idles during such an exit (HLT) */
  constructor(isIdle: Uint8Array) {
    this.#isIdle = isIdle;
  }

  /** Hardware reason of the open exit, -1 if there is none. */
  get openReason(): number {
    return this.#exitReason;
  }

  exit(reason: number): void {
    this.abandon();
    this.#exitReason = reason;
    this.#sinceNs = this.nowNs;
  }

  userspaceExit(reason: number): void {
    this.#durationNs = this.nowNs - this.#sinceNs;
    if (this.#userspaceReason !== NO_REASON) {
      // Userspace called KVM_RUN, which returned at once: the time until now was spent in userspace, for the reason
      // before.
      this.unpairedQemu++;
      this.#addTime(this.#userspaceReason, false);
    } else if (this.#exitReason !== NO_REASON) {
      this.forwarded++;
      this.#addTime(this.#exitReason, true);
      this.#exitReason = NO_REASON;
    }
    this.#userspaceReason = reason;
    this.#sinceNs = this.nowNs;
  }

  entry(): void {
    this.#durationNs = this.nowNs - this.#sinceNs;
    // Negative if the clock stepped back, NaN if the clock does not count time.
    if (!(this.#durationNs >= 0)) return this.abandon();
    if (this.#userspaceReason !== NO_REASON) this.#record(this.durations.qemu, this.#userspaceReason, false);
    else if (this.#exitReason !== NO_REASON) this.#record(this.durations.kvm, this.#exitReason, true);
    this.#userspaceReason = NO_REASON;
    this.#exitReason = NO_REASON;
  }

  /** Counts the open exit as unpaired, because the event that ended it is unknown. */
  abandon(): void {
    if (this.#exitReason !== NO_REASON) this.unpairedKvm++;
    if (this.#userspaceReason !== NO_REASON) this.unpairedQemu++;
    this.#exitReason = NO_REASON;
    this.#userspaceReason = NO_REASON;
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
    this.kvmNs += from.kvmNs;
    this.qemuNs += from.qemuNs;
    this.idleNs += from.idleNs;
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

  #record(histograms: (DurationHistogram | undefined)[], reason: number, isInKernel: boolean): void {
    let histogram = histograms[reason];
    if (histogram === undefined) {
      histogram = newHistogram();
      histograms[reason] = histogram;
    }
    recordDuration(histogram, this.#durationNs);
    this.#addTime(reason, isInKernel);
  }

  #addTime(reason: number, isInKernel: boolean): void {
    const ns = this.#durationNs;
    if (!(ns > 0)) return;
    if (this.#isIdle[reason] === 1) this.idleNs += ns;
    else if (isInKernel) this.kvmNs += ns;
    else this.qemuNs += ns;
  }
}
