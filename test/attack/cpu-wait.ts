import { readFileSync } from 'node:fs';

const NS_PER_SECOND = 1e9;

/**
 * Measures how long a process takes, without the time in which it waits for a CPU that other programs use: that time
 * depends on the machine, and not on the process. The kernel measures it per thread (/proc/PID/schedstat). The time in
 * which the process works for other clients is not deducted.
 */
export class WorkTimer {
  readonly #pids: readonly number[];
  readonly #startMs = performance.now();
  readonly #waitsBefore: readonly number[];

  constructor(pid: number) {
    // If this process also waits, for a CPU on which to read the answer, only the longer wait is deducted.
    this.#pids = [pid, process.pid];
    this.#waitsBefore = this.#pids.map(cpuWaitSeconds);
  }

  get seconds(): number {
    const waits = this.#pids.map((pid, index) => cpuWaitSeconds(pid) - (this.#waitsBefore[index] ?? 0));
    return Math.max(0, (performance.now() - this.#startMs) / 1000 - Math.max(...waits));
  }
}

/**
 * Seconds in which the main thread of a process was ready to run while other threads had the CPUs, since it began; 0 if
 * the process has ended or the kernel does not measure it (CONFIG_SCHED_INFO).
 */
function cpuWaitSeconds(pid: number): number {
  try {
    // Nanoseconds on a CPU, nanoseconds waiting for one, number of times on a CPU.
    const [, wait = '0'] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
    return Number(wait) / NS_PER_SECOND;
  } catch {
    return 0;
  }
}
