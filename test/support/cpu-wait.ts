import { readdirSync, readFileSync } from 'node:fs';

const NS_PER_SECOND = 1e9;

interface Times {
  /** Seconds on a CPU. */
  readonly cpu: number;
  /** Seconds in which the thread was ready to run while other threads had the CPUs. */
  readonly wait: number;
}

/**
 * Measures how long a process takes, without the time in which it waits for a CPU that other programs use: that time
 * depends on the machine, and not on the process. The kernel measures it per thread (/proc/PID/task/TID/schedstat).
 *
 * The main thread may also wait for a thread of V8 that waits for a CPU, so the longest wait of another thread is
 * deducted, too. The result is never less than the CPU time of the main thread: its work for other clients counts.
 */
export class WorkTimer {
  readonly #pid: number;
  readonly #startMs = performance.now();
  readonly #before: ReadonlyMap<string, Times>;
  readonly #ownBefore = timesOf(process.pid, String(process.pid));

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = threadTimes(pid);
  }

  get seconds(): number {
    const seconds = (performance.now() - this.#startMs) / 1000;
    let [cpu, mainWait, otherWait] = [0, 0, 0];
    for (const [tid, times] of threadTimes(this.#pid)) {
      const before = this.#before.get(tid) ?? { cpu: 0, wait: 0 };
      if (tid !== String(this.#pid)) otherWait = Math.max(otherWait, times.wait - before.wait);
      else [cpu, mainWait] = [times.cpu - before.cpu, times.wait - before.wait];
    }
    // This process may wait, too, for a CPU on which to read the answer.
    const ownWait = timesOf(process.pid, String(process.pid)).wait - this.#ownBefore.wait;
    return Math.max(cpu, seconds - Math.max(mainWait + otherWait, ownWait));
  }
}

/** Thread id -> its times; empty if the process has ended. */
function threadTimes(pid: number): Map<string, Times> {
  try {
    return new Map(readdirSync(`/proc/${pid}/task`).map((tid) => [tid, timesOf(pid, tid)]));
  } catch {
    return new Map();
  }
}

/** Zeros if the thread has ended or the kernel does not measure it (CONFIG_SCHED_INFO). */
function timesOf(pid: number, tid: string): Times {
  try {
    // Nanoseconds on a CPU, nanoseconds waiting for one, number of times on a CPU.
    const [cpu = '0', wait = '0'] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ');
    return { cpu: Number(cpu) / NS_PER_SECOND, wait: Number(wait) / NS_PER_SECOND };
  } catch {
    return { cpu: 0, wait: 0 };
  }
}

/**
 * Seconds until a process has ended, without the time in which it waited for a CPU.
 * @param ended resolves then
 */
export async function secondsUntil(ended: Promise<unknown>, pid: number | undefined): Promise<number> {
  const timer = new WorkTimer(pid ?? 0);
  let seconds = 0;
  const looks = setInterval(() => {
    seconds = timer.seconds;
  }, 10);
  await ended;
  clearInterval(looks);
  return seconds;
}
