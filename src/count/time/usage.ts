/** What the kernel says of a thread's time in an interval. All times are nanoseconds. */
export interface Usage {
  readonly wallNs: number;
  /** On a CPU. */
  readonly runNs: number;
  /** Runnable, without a CPU. */
  readonly waitNs: number;
  /** Clock ticks of run time by kind, the kernel's samples; undefined if they were not read. */
  readonly ticks?: Ticks | undefined;
  /** True if the thread slept outside of KVM at the begin and the end of the interval, and hardly ran in between. */
  readonly sleptInVmm?: boolean;
}

export interface Ticks {
  /** In userspace, and in the guest. */
  readonly user: number;
  /** In the kernel. */
  readonly system: number;
  /** In the guest; undefined if that is in `system`. */
  readonly guest: number | undefined;
  /** True if the thread runs, or waits for a CPU, at the end of the interval. */
  readonly isRunnable?: boolean;
}

/** Run time by the place where it was spent. */
export interface RunTime {
  readonly guest: number;
  /** Undefined if it is in `guest`, because the ticks do not tell the two apart. */
  readonly kvm: number | undefined;
  readonly qemu: number;
}

/**
 * Divides a thread's run time in proportion to the kernel's clock ticks (PURE). The run time is exact, the ticks are
 * samples. A short run has no tick yet, and waits here for the next one.
 */
export class RunTimeDivider {
  #undividedNs = 0;
  /** Ticks so far in userspace, those of the guest not included. */
  #vmmTicks = 0;
  /** The most of them that were ever seen: the kernel rounds both counts that they are the difference of. */
  #mostVmmTicks = 0;

  divide(runNs: number, { user, system, guest }: Ticks): RunTime {
    this.#undividedNs += runNs;
    this.#vmmTicks += user - (guest ?? 0);
    const vmm = Math.max(0, this.#vmmTicks - this.#mostVmmTicks);
    const all = vmm + system + (guest ?? 0);
    const perTick = all > 0 ? this.#undividedNs / all : 0;
    if (all > 0) this.#undividedNs = 0;
    this.#mostVmmTicks += vmm;
    const qemu = vmm * perTick;
    if (guest === undefined) return { guest: system * perTick, kvm: undefined, qemu };
    return { guest: guest * perTick, kvm: system * perTick, qemu };
  }
}
