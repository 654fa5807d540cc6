import { RunTimeDivider, type Ticks, type Usage } from './usage.js';
import { addAllTime, addTime, newVcpuTime, type VcpuTime } from './vcpu-time.js';
import { type LegTimes, placeWaits } from './waiting.js';

/** Sums of a vCPU's legs as its trace shows them. `ExitTimer` is one. */
export interface TracedLegs {
  /** True once events show where the vCPU spends its time. */
  readonly provesTime: boolean;
  readonly guestNs: number;
  readonly kvmNs: number;
  readonly qemuNs: number;
  readonly idleNs: number;
  /** The parts of the three above in legs that may include a wait for a host CPU. */
  readonly longKvmNs: number;
  readonly longQemuNs: number;
  readonly longIdleNs: number;
  /** Time of the open leg that is in none of the sums yet. */
  readonly pendingNs: number;
}

interface ConsumedLegs extends LegTimes {
  readonly pending: number;
}

/** Longest wait that a vCPU may be in while its thread is read. A longer one is made up for when it ends. */
const MAX_OPEN_WAIT_NS = 1e9;
/** Part of an interval that interrupts may take: so short a time need not be sleep. */
const INTERRUPTS = 0.05;

const NO_LEGS: ConsumedLegs = { guest: 0, kvm: 0, qemu: 0, idle: 0, longKvm: 0, longQemu: 0, longIdle: 0, pending: 0 };

/**
 * The times of one thread's vCPU. The states of each interval between two readings of the thread's usage add up to its
 * wall time:
 *
 *   trace with entries     legs of the trace, waits taken out of them, the rest unknown
 *   other traces, none     run time as the kernel's clock ticks divide it, waits, and sleep as idle time
 *
 * What has been added never moves to another state, because that would make a counter decrease. So time that was added
 * too early is made up for in the next interval: a wait is known only when it ends.
 */
export class ThreadTime {
  readonly time = newVcpuTime();
  #consumed = NO_LEGS;
  #wasProven = false;
  /** Time of waits that did not fit into the legs of their interval. */
  #lateWaitNs = 0;
  /** Time that was added beyond wall time; negative: time that was not added yet. */
  #surplusNs = 0;
  readonly #divider = new RunTimeDivider();

  /** Begins the first interval. What the trace showed before it counts as it is. */
  begin(legs: TracedLegs | undefined): void {
    if (legs?.provesTime !== true) return;
    addLegs(this.#takeLegs(legs), this.time);
    this.#wasProven = true;
  }

  /**
   * Adds an interval.
   * @param legs undefined if no trace was read in it
   */
  add(usage: Usage, legs: TracedLegs | undefined): void {
    const taken = legs === undefined ? NO_LEGS : this.#takeLegs(legs);
    const isProven = legs?.provesTime === true;
    if (isProven && this.#wasProven) this.#addTraced(usage, taken);
    else if (usage.ticks !== undefined) this.#addUsage(usage, usage.ticks);
    else this.#addRest('unknown', usage.wallNs);
    this.#wasProven = isProven;
  }

  /** Adds the legs that no interval has. */
  addRest(legs: TracedLegs, to: VcpuTime): void {
    addLegs(difference(legsOf(legs), this.#consumed), to);
  }

  /** Takes over all time of `from`, whose legs are added to the legs of this one. `from` begins again at 0. */
  absorb(from: ThreadTime): void {
    addAllTime(this.time, from.time);
    Object.assign(from.time, newVcpuTime());
    this.#consumed = total(this.#consumed, from.#consumed);
    from.#consumed = NO_LEGS;
    from.#wasProven = false;
  }

  #addTraced({ wallNs, runNs, waitNs }: Usage, legs: ConsumedLegs): void {
    const waits = placeWaits(legs, waitNs + this.#lateWaitNs, Math.max(0, wallNs - runNs - waitNs));
    const ready = waits.guest + waits.kvm + waits.qemu + waits.idle;
    this.#lateWaitNs += waitNs - ready;
    addTime(this.time, 'guest', legs.guest - waits.guest);
    addTime(this.time, 'kvm', legs.kvm - waits.kvm);
    addTime(this.time, 'qemu', legs.qemu - waits.qemu);
    addTime(this.time, 'ready', ready);
    addTime(this.time, 'idle', legs.idle - waits.idle);
    this.#addRest('unknown', wallNs - legs.guest - legs.kvm - legs.qemu - legs.idle - legs.pending);
  }

  #addUsage({ wallNs, runNs, waitNs, sleptInVmm = false }: Usage, ticks: Ticks): void {
    const run = this.#divider.divide(runNs, ticks);
    addTime(this.time, 'guest', run.guest);
    if (run.kvm !== undefined) addTime(this.time, 'kvm', run.kvm);
    addTime(this.time, 'qemu', run.qemu);
    addTime(this.time, 'ready', waitNs);
    addTime(this.time, 'idle', 0);
    const rest = wallNs - runNs - waitNs;
    if (ticks.isRunnable) this.#addOpenWait(rest, wallNs, runNs);
    else this.#addRest(sleptInVmm ? 'unknown' : 'idle', rest);
  }

  /** Adds what is left of an interval; negative if its other states have more than there is. */
  #addRest(state: 'idle' | 'unknown', ns: number): void {
    const rest = ns - this.#surplusNs;
    addTime(this.time, state, Math.max(0, rest));
    this.#surplusNs = Math.max(0, -rest);
  }

  /**
   * Keeps the rest of an interval for the next one. It may be a wait that has not ended, which the kernel adds when it
   * ends. That wait began after the thread ran last, so the part that is too long for it was sleep.
   */
  #addOpenWait(ns: number, wallNs: number, runNs: number): void {
    this.#surplusNs -= ns;
    const keptNs = -this.#surplusNs;
    if (runNs === 0) {
      if (keptNs > MAX_OPEN_WAIT_NS) this.#addRest('unknown', 0);
      return;
    }
    const sleptNs = keptNs - Math.min(wallNs - runNs, MAX_OPEN_WAIT_NS);
    if (sleptNs <= 0) return;
    addTime(this.time, sleptNs > INTERRUPTS * wallNs ? 'idle' : 'unknown', sleptNs);
    this.#surplusNs += sleptNs;
  }

  #takeLegs(legs: TracedLegs): ConsumedLegs {
    const all = legsOf(legs);
    const taken = difference(all, this.#consumed);
    this.#consumed = all;
    return taken;
  }
}

function addLegs({ guest, kvm, qemu, idle }: ConsumedLegs, to: VcpuTime): void {
  addTime(to, 'guest', guest);
  addTime(to, 'kvm', kvm);
  addTime(to, 'qemu', qemu);
  addTime(to, 'idle', idle);
}

function legsOf(legs: TracedLegs): ConsumedLegs {
  return {
    guest: legs.guestNs,
    kvm: legs.kvmNs,
    qemu: legs.qemuNs,
    idle: legs.idleNs,
    longKvm: legs.longKvmNs,
    longQemu: legs.longQemuNs,
    longIdle: legs.longIdleNs,
    pending: legs.pendingNs,
  };
}

function difference(a: ConsumedLegs, b: ConsumedLegs): ConsumedLegs {
  return combine(a, b, (x, y) => x - y);
}

function total(a: ConsumedLegs, b: ConsumedLegs): ConsumedLegs {
  return combine(a, b, (x, y) => x + y);
}

function combine(a: ConsumedLegs, b: ConsumedLegs, with_: (x: number, y: number) => number): ConsumedLegs {
  return {
    guest: with_(a.guest, b.guest),
    kvm: with_(a.kvm, b.kvm),
    qemu: with_(a.qemu, b.qemu),
    idle: with_(a.idle, b.idle),
    longKvm: with_(a.longKvm, b.longKvm),
    longQemu: with_(a.longQemu, b.longQemu),
    longIdle: with_(a.longIdle, b.longIdle),
    pending: with_(a.pending, b.pending),
  };
}
