import { readFileSync } from 'node:fs';

/** A tick of the times in /proc/stat (USER_HZ). */
const MS_PER_TICK = 10;

/**
 * Milliseconds for which a program was kept from running so far: its main thread was ready while other programs had the
 * CPUs, or the host of this machine took a CPU away (steal). Both by the kernel.
 */
export function delayMs(pid: number | undefined): number {
  const waitedNs = Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]);
  const stolenTicks = Number(/^cpu +(?:\d+ ){7}(\d+)/.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
  return waitedNs / 1e6 + stolenTicks * MS_PER_TICK;
}
