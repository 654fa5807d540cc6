import { type DurationHistogram, newHistogram, recordDuration } from '../counters/duration-histogram.js';
import { ExitDurations } from './exit-durations.js';

const NONE = -1;

/**
 * Where a vCPU is, and how long its trips away from the guest take:
 *
 *   guest ─ exit ─► KVM ─ userspaceExit ─► QEMU
 *     ▲              │                      │
 *     └─── entry ────┴──────────────────────┘
 *
 * An exit is paired with the entry that ends it: under layer kvm where KVM handled it; under layer qemu, from the moment KVM_RUN
 * returned, where userspace did. Every other exit is counted as handed on (kvm, to userspace) or unpaired: another exit
 * came before an entry (the vCPU was not let in), the entry was before the exit (a clock that stepped), or events were lost.
 */
export class ExitTimer {
  /** Time of the event that is told next. Not handed from call to call: a number that is no small integer would be an object each time. */
  nowNs = Number.NaN;
  /** Once it is known whose vCPU this is: those of the VM, see {@link share}. */
  durations = new ExitDurations();
  /** Time away from the guest in KVM, on the way to userspace too; in userspace; and waiting for an idle guest to be woken. */
  kvmNs = 0;
  qemuNs = 0;
  idleNs = 0;
  /** Exits that KVM handed on to userspace. */
  forwarded = 0;
  unpairedKvm = 0;
  unpairedQemu = 0;
  readonly #idle: Uint8Array;
  /** The leg it is on: in KVM, in userspace, or (both NONE) in the guest, as far as it is known. */
  #exitReason = NONE;
  #userspaceReason = NONE;
  /** When that leg began, and, while the event is told that ends it, how long it took. */
  #sinceNs = Number.NaN;
  #tookNs = Number.NaN;

  /** @param idle by reason: 1 where the time is the guest's own idling (HLT) */
  constructor(idle: Uint8Array) {
    this.#idle = idle;
  }

  /** The hardware reason of the exit that is open, -1 where there is none. */
  get openReason(): number {
    return this.#exitReason;
  }

  exit(reason: number): void {
    this.abandon();
    this.#exitReason = reason;
    this.#sinceNs = this.nowNs;
  }

  userspaceExit(reason: number): void {
    this.#tookNs = this.nowNs - this.#sinceNs;
    if (this.#userspaceReason !== NONE) {
      // KVM_RUN was entered and returned at once: still the same time in userspace, of the reason before.
      this.unpairedQemu++;
      this.#spend(this.#userspaceReason, false);
    } else if (this.#exitReason !== NONE) {
      this.forwarded++;
      this.#spend(this.#exitReason, true);
      this.#exitReason = NONE;
    }
    this.#userspaceReason = reason;
    this.#sinceNs = this.nowNs;
  }

  entry(): void {
    this.#tookNs = this.nowNs - this.#sinceNs;
    // The other way round the clock has stepped.
    if (!(this.#tookNs >= 0)) return this.abandon();
    if (this.#userspaceReason !== NONE) this.#pair(this.durations.qemu, this.#userspaceReason, false);
    else if (this.#exitReason !== NONE) this.#pair(this.durations.kvm, this.#exitReason, true);
    this.#userspaceReason = NONE;
    this.#exitReason = NONE;
  }

  /** Whatever is open stays unpaired: nobody knows what came after it. */
  abandon(): void {
    if (this.#exitReason !== NONE) this.unpairedKvm++;
    if (this.#userspaceReason !== NONE) this.unpairedQemu++;
    this.#exitReason = NONE;
    this.#userspaceReason = NONE;
  }

  /** From now on durations are counted there, and what was counted so far is added - unless it is another VM's, which keeps it. */
  useSharedHistogram(durations: ExitDurations): void {
    if (!this.durations.isShared) durations.add(this.durations);
    this.durations = durations;
  }

  /** Adds what `from` counted; what is open there counts as unpaired. */
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

  /** Exits that wait for their entry now: none or one. */
  get openKvm(): number {
    return this.#exitReason === NONE ? 0 : 1;
  }

  get openQemu(): number {
    return this.#userspaceReason === NONE ? 0 : 1;
  }

  #pair(durations: (DurationHistogram | undefined)[], reason: number, inKernel: boolean): void {
    let own = durations[reason];
    if (own === undefined) {
      own = newHistogram();
      durations[reason] = own;
    }
    recordDuration(own, this.#tookNs);
    this.#spend(reason, inKernel);
  }

  #spend(reason: number, inKernel: boolean): void {
    const ns = this.#tookNs;
    if (!(ns > 0)) return;
    if (this.#idle[reason] === 1) this.idleNs += ns;
    else if (inKernel) this.kvmNs += ns;
    else this.qemuNs += ns;
  }
}
