import { tryReadText } from './files.js';

/** Descriptors that loading this program takes (about 100) and some for serving. */
export const MIN_OPEN_FILES = 160;

/**
 * How many files this process may have open, from the text of /proc/self/limits; Infinity if the text does not say:
 *
 *   Limit                     Soft Limit           Hard Limit           Units
 *   Max open files            1024                 524288               files
 */
export function openFileLimit(limits = tryReadText('/proc/self/limits') ?? ''): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
