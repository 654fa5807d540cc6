/** Which events are on in windows only, if VMs are sampled. */
import type { KernelCounts } from '../count/kernel-counts.js';
import { kvmApicvInhibit } from '../decode/kvm/index/kvm-apicv-inhibit.js';
import { kvmUserspaceExit } from '../decode/kvm/kvm-userspace-exit.js';
import { SCHED_PROCESS_EXIT } from '../decode/kvm/sched-process-exit.js';
import { TASK_NEWTASK } from '../decode/kvm/task-newtask.js';
import type { Names } from '../trace/names.js';

/** Events that are rare, or whose order must be complete: exits to userspace, states, starts and ends of threads. */
const EXACT_NAMES: ReadonlySet<string> = new Set([
  ...kvmUserspaceExit.names,
  ...kvmApicvInhibit.names,
  SCHED_PROCESS_EXIT,
  TASK_NEWTASK,
]);

/** @param event `system:event` */
export function isSampled(event: string): boolean {
  return !EXACT_NAMES.has(event.replace(/^.*:/, ''));
}

/** Number of sampled events among those that were counted. @param tracepoints the names of what `hits` counts */
export function sampledEvents({ hits, source }: KernelCounts, tracepoints: Names): number {
  const isExact = (name: string) => EXACT_NAMES.has(name);
  const exact = tracepoints.texts().reduce((sum, name, id) => sum + (isExact(name) ? (hits[id] ?? 0) : 0), 0);
  return source.events - exact;
}
