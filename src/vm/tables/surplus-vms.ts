import type { Vm } from './vm.js';

/**
 * Stopped VMs that are too many to be kept (PURE): those that stopped first, of the users that have most. A user who
 * starts VMs without end pushes out his own.
 *
 *   max 4, VMs of user 0 and 107 from old to new:   0 107 107 107 0 107
 *   surplus:                                          107 107
 *
 * @param stopped from old to new
 */
export function surplusOf(stopped: readonly Vm[], max: number): readonly Vm[] {
  if (stopped.length <= max) return [];
  const counts = new Map<number, number>();
  for (const { uid } of stopped) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  const share = shareOf([...counts.values()], max);
  return stopped.filter(({ uid }) => {
    const count = counts.get(uid) ?? 0;
    counts.set(uid, count - 1);
    return count > share;
  });
}

/** How many VMs each user may keep, so that no more than `max` are kept in all. */
function shareOf(counts: readonly number[], max: number): number {
  let left = max;
  let users = counts.length;
  for (const count of [...counts].sort((a, b) => a - b)) {
    if (count > left / users) break;
    left -= count;
    users--;
  }
  return Math.floor(left / Math.max(1, users));
}
