import { cpus } from 'node:os';
import { tryReadText } from '../../../system/files.js';

const MIB = 1 << 20;
/** Limits of the default size, in bytes: those of one CPU come before the one of all CPUs. */
const DEFAULT_TOTAL = 256 * MIB;
const MIN_DEFAULT = MIB;
const MAX_DEFAULT = 16 * MIB;
/** The size of a buffer is a multiple of the largest sub-buffers that are asked for. */
const STEP = 64 * 1024;

/**
 * Bytes of one CPU's ring buffer if the user names no size: an equal share of 256 MiB. The buffers are memory of the
 * kernel that no cgroup limits, so they must not grow with the host.
 * @param instances that each have such a buffer
 */
export function defaultBufferSize(cpuCount = onlineCpus(), instances = 1): number {
  const share = Math.floor(DEFAULT_TOTAL / instances / cpuCount / STEP) * STEP;
  return Math.min(MAX_DEFAULT / instances, Math.max(MIN_DEFAULT, share));
}

/** The number of CPUs that are online: the kernel makes a buffer for each of them. */
export function onlineCpus(list = tryReadText('/sys/devices/system/cpu/online')): number {
  let count = 0;
  for (const [, first, last = first] of list?.matchAll(/(\d+)(?:-(\d+))?/g) ?? [])
    count += Number(last) - Number(first) + 1;
  return count > 0 ? count : Math.max(1, cpus().length);
}
