import { readFileSync } from 'node:fs';

/** What it takes to load this program, with something to spare (some 100), and to serve. */
export const MIN_OPEN_FILES = 160;

/**
 * How many files this process may have open, by the text of /proc/self/limits; Infinity where it does not tell:
 *
 *   Limit                     Soft Limit           Hard Limit           Units
 *   Max open files            1024                 524288               files
 */
export function openFileLimit(limits = readLimits()): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
