import { type ClockTicks, readClockTicks, readSchedStat, readSleepingIn, type SchedStat } from './thread-files.js';

/** A thread that runs a vCPU. */
export interface VcpuThread {
  readonly pid: number;
  readonly tid: number;
}

/** What the kernel says of a thread's time in an interval. All times are nanoseconds. */
export interface ThreadUsage {
  readonly wallNs: number;
  /** On a CPU. */
  readonly runNs: number;
  /** Runnable, without a CPU. */
  readonly waitNs: number;
  /** Run time by kind; undefined if it is not known for the whole interval. */
  readonly ticks: ClockTicks | undefined;
  /** True if the thread slept outside of KVM at the begin and the end of the interval, and hardly ran in between. */
  readonly sleptInVmm: boolean;
}

interface Reading extends SchedStat {
  readonly pid: number;
  readonly atMs: number;
  readonly ticks: ClockTicks | undefined;
  /** True if the thread sleeps outside of KVM; undefined if that was not looked up since it ran last. */
  readonly sleepsInVmm: boolean | undefined;
}

/**
 * Part of an interval that a thread runs at most if it hardly runs. QEMU before 8.1 wakes the thread of a paused vCPU
 * to read its statistics.
 */
const HARDLY = 0.01;

/** Reads threads again and again, and returns what happened in between (HOST). */
export class UsageReader {
  readonly #root: string;
  /** False if the kernel counts time in guests as time in the kernel. */
  tellsGuest = true;
  /** Thread id -> its latest reading. */
  readonly #last = new Map<number, Reading>();

  /** @param root `/proc`, in a container the host's /proc */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Returns the interval since the latest reading; `first` if there was none, undefined if the thread cannot be read.
   * A thread that has not run since then is where it was, so that only one of its files is read.
   * @param atMs time of this reading
   * @param needsTicks true if run time by kind is needed, which costs as much again
   */
  read({ pid, tid }: VcpuThread, atMs: number, needsTicks: boolean): ThreadUsage | 'first' | undefined {
    const stat = readSchedStat(this.#root, pid, tid);
    if (stat === undefined) return undefined;
    const last = this.#last.get(tid);
    // Events can be counted more slowly than they happen.
    const latestMs = Math.max(atMs, last?.atMs ?? atMs);
    // Counters that fall are those of another thread with the same id.
    const isFirst = last === undefined || last.pid !== pid || stat.runNs < last.runNs || stat.slices < last.slices;
    const wallNs = isFirst ? 0 : (latestMs - last.atMs) * 1e6;
    const runNs = isFirst ? 0 : stat.runNs - last.runNs;
    const hasRun = isFirst || stat.slices !== last.slices || runNs > 0;
    const same = hasRun ? undefined : last;
    const ticks = needsTicks ? (same?.ticks ?? readClockTicks(this.#root, pid, tid, this.tellsGuest)) : undefined;
    const hasSlept = !hasRun || (!isFirst && stat.slices !== last.slices && last.sleepsInVmm === true);
    const sleepsInVmm = needsTicks && hasSlept ? (same?.sleepsInVmm ?? this.#sleepsInVmm(pid, tid)) : undefined;
    this.#last.set(tid, { ...stat, pid, atMs: latestMs, ticks, sleepsInVmm });
    if (isFirst) return 'first';
    return {
      wallNs,
      runNs,
      waitNs: stat.waitNs - last.waitNs,
      ticks: ticks && last.ticks && difference(ticks, last.ticks),
      sleptInVmm: sleepsInVmm === true && runNs < HARDLY * wallNs,
    };
  }

  /** Forgets all other threads. */
  keepOnly(tids: ReadonlySet<number>): void {
    for (const tid of this.#last.keys()) if (!tids.has(tid)) this.#last.delete(tid);
  }

  /** False also if the place where the thread sleeps is not known. */
  #sleepsInVmm(pid: number, tid: number): boolean {
    return /^(?!kvm)./.test(readSleepingIn(this.#root, pid, tid));
  }
}

function difference(now: ClockTicks, before: ClockTicks): ClockTicks {
  // The kernel corrects these counts, so each can fall by a tick.
  return {
    user: now.user - before.user,
    system: Math.max(0, now.system - before.system),
    isRunnable: now.isRunnable,
    guest: now.guest === undefined ? undefined : Math.max(0, now.guest - (before.guest ?? 0)),
  };
}
