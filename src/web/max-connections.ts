import { openFileLimit } from '../system/open-file-limit.js';

const MOST = 512;
/** Connections may take so much of the files that this process can have open: /proc, the buffers and QEMU's logs need some too. */
const SHARE = 1 / 4;

/** How many connections to have at once, by the limit of open files (`ulimit -n`). */
export function maxConnections(limit = openFileLimit()): number {
  return Math.max(1, Math.min(MOST, Math.floor(limit * SHARE)));
}
