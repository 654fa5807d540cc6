/**
 * How much of the time that an interval's legs took was a wait for a host CPU (PURE). The kernel says how long the
 * thread ran and how long it waited, not in which legs, so the waits are placed by what is known of each kind of leg:
 *
 * - In the guest a thread runs. It is only put off its CPU after an exit.
 * - A thread that neither ran nor waited was asleep: in idle legs first of all, the rest in QEMU. So the time that can
 *   have been a wait is less there.
 * - A wait makes a leg long, while a leg in which code runs takes microseconds. So waits are taken from long legs, in
 *   proportion to their time, and only what does not fit into them from short legs.
 */

/** Nanoseconds of one interval, by kind of leg. */
export interface LegTimes {
  readonly guest: number;
  readonly kvm: number;
  readonly qemu: number;
  readonly idle: number;
  /** The parts of the three above in long legs. */
  readonly longKvm: number;
  readonly longQemu: number;
  readonly longIdle: number;
}

/** The part of each kind of leg that was a wait. */
export interface Waits {
  readonly guest: number;
  readonly kvm: number;
  readonly qemu: number;
  readonly idle: number;
}

/**
 * Divides a wait among the legs. The parts add up to `waitNs`, or to all the time in which the thread can have waited
 * if that is less.
 * @param asleepNs time in which the thread neither ran nor waited
 */
export function placeWaits(legs: LegTimes, waitNs: number, asleepNs: number): Waits {
  const awakeIdle = Math.max(0, legs.idle - asleepNs);
  const awakeQemu = Math.max(0, legs.qemu - Math.max(0, asleepNs - legs.idle));
  const long = [legs.longKvm, Math.min(legs.longQemu, awakeQemu), Math.min(legs.longIdle, awakeIdle)];
  const short = [legs.kvm, awakeQemu, awakeIdle].map((ns, leg) => ns - (long[leg] as number));
  const inLong = shares(long, waitNs);
  const inShort = shares(short, waitNs - sum(inLong));
  const [kvm, qemu, idle] = inLong.map((ns, leg) => ns + (inShort[leg] as number)) as [number, number, number];
  const guest = Math.min(legs.guest, Math.max(0, waitNs - kvm - qemu - idle));
  return { guest, kvm, qemu, idle };
}

/** Parts of `ns` in proportion to `room`, and no part larger than its room. */
function shares(room: readonly number[], ns: number): number[] {
  const all = sum(room);
  if (all <= 0 || ns <= 0) return room.map(() => 0);
  const share = Math.min(1, ns / all);
  return room.map((each) => each * share);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
