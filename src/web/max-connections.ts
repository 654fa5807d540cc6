import { readFileSync } from 'node:fs';

const MOST = 512;
/** Connections may take so much of the files that this process can have open: /proc, the buffers and QEMU's logs need some too. */
const SHARE = 1 / 4;

/** How many connections to have at once, by the limit of open files (`ulimit -n`). */
export function maxConnections(limits = readLimits()): number {
  // Limit                     Soft Limit           Hard Limit           Units
  // Max open files            1024                 524288               files
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.max(1, Math.min(MOST, Math.floor(soft * SHARE)));
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
