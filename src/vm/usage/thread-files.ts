/**
 * Reads how the kernel accounts the time of a thread (HOST).
 *
 * `/proc/PID/task/TID/schedstat` (proc_pid_schedstat, fs/proc/base.c; needs CONFIG_SCHED_INFO, which every distribution
 * sets) has nanoseconds on a CPU, nanoseconds runnable without one, and how often the thread got a CPU:
 *
 *   5327456932 147415465 263
 *
 * A wait is added when it ends. One caused by a CPU quota (cgroup) counts like any other: measured with a quota of 15 %
 * on Linux 6.1 and 6.18, where the wait was 85 % of the time.
 *
 * `/proc/PID/task/TID/stat` has run time in clock ticks: utime (14), which includes the guest; stime (15); and
 * guest_time (43).
 */
import { readStart } from '../host/proc.js';

export interface SchedStat {
  readonly runNs: number;
  readonly waitNs: number;
  /** How often the thread got a CPU. */
  readonly slices: number;
}

export interface ClockTicks {
  /** Userspace and guest. */
  readonly user: number;
  readonly system: number;
  /** Undefined if this time is in `system`. */
  readonly guest: number | undefined;
  /** True if the thread runs, or waits for a CPU. */
  readonly isRunnable: boolean;
}

// Positions of fields after the name.
const USER = 11;
const SYSTEM = 12;
const GUEST = 40;

/** Undefined if the thread has ended, or if the kernel does not account waits. */
export function readSchedStat(root: string, pid: number, tid: number): SchedStat | undefined {
  const [, run, wait, slices] =
    /^(\d+) (\d+) (\d+)\n$/.exec(readStart(`${root}/${pid}/task/${tid}/schedstat`) ?? '') ?? [];
  // A thread that has a file has run.
  return Number(slices) > 0 ? { runNs: Number(run), waitNs: Number(wait), slices: Number(slices) } : undefined;
}

/**
 * Undefined if the thread has ended.
 * @param tellsGuest false if the kernel counts most of the time in the guest as time in the kernel
 */
export function readClockTicks(root: string, pid: number, tid: number, tellsGuest: boolean): ClockTicks | undefined {
  const text = readStart(`${root}/${pid}/task/${tid}/stat`) ?? '';
  // The name may hold blanks and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user, system, guest] = [USER, SYSTEM, GUEST].map((field) => Number(fields[field])) as [number, number, number];
  if (!(user >= 0 && system >= 0 && guest >= 0)) return undefined;
  const isRunnable = fields[0] === 'R';
  if (tellsGuest) return { user, system, guest, isRunnable };
  // What is counted of the guest nevertheless is in `user`.
  return { user: user - guest, system: system + guest, guest: undefined, isRunnable };
}

/**
 * The kernel function in which a thread sleeps, such as `kvm_vcpu_block` or `futex_wait_queue`; '' if it does not
 * sleep, or if this user must not know.
 */
export function readSleepingIn(root: string, pid: number, tid: number): string {
  const name = readStart(`${root}/${pid}/task/${tid}/wchan`)?.trim() ?? '';
  return name === '0' ? '' : name;
}
