import type { KernelCounts } from '../../count/kernel-counts.js';
import { SCHED_PROCESS_EXIT } from '../../decode/kvm/sched-process-exit.js';
import { TASK_NEWTASK } from '../../decode/kvm/task-newtask.js';
import type { Names } from '../../trace/names.js';

/** Events that every process raises. */
const OF_ALL_PROCESSES: ReadonlySet<string> = new Set([SCHED_PROCESS_EXIT, TASK_NEWTASK]);

/** Number of counted events that concern VMs. @param tracepoints the names of what `hits` counts */
export function vmEvents({ hits, source }: KernelCounts, tracepoints: Names): number {
  const ofAll = tracepoints.texts().map((name, id) => (OF_ALL_PROCESSES.has(name) ? (hits[id] ?? 0) : 0));
  return source.events - ofAll.reduce((sum, count) => sum + count, 0);
}
