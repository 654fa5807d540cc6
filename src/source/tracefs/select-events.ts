import { join } from 'node:path';
import { ALL_NEEDED_EVENTS } from '../../decode/kvm/events.js';
import { SCHED_PROCESS_EXIT } from '../../decode/kvm/sched-process-exit.js';
import { TASK_NEWTASK } from '../../decode/kvm/task-newtask.js';
import { AgentError } from '../../system/errors.js';
import { namePattern } from '../../system/name-pattern.js';
import { eventNames, kvmEvents } from './format-files.js';

/** The kvm module is not loaded. An agent waits for it. */
export class KvmNotLoaded extends AgentError {
  constructor(tracefs: string) {
    super(
      `${join(tracefs, 'events/kvm')}: not there, so the kvm module is not loaded; load it with modprobe kvm_intel or kvm_amd`,
    );
  }
}

/**
 * The tracepoints to switch on, as `system:event`.
 * @param requested patterns such as `kvm:*`; undefined: `needed`, as far as this kernel has them
 * @throws AgentError if this kernel has no event that a pattern names
 */
export function selectEvents(
  tracefs: string,
  requested: readonly string[] | undefined,
  needed: readonly string[] = ALL_NEEDED_EVENTS,
): string[] {
  const available = kvmEvents(tracefs);
  if (available.length === 0) throw new KvmNotLoaded(tracefs);
  if (requested === undefined)
    return needed.filter((event) => available.includes(event)).map((event) => `kvm:${event}`);
  return [...new Set(requested.flatMap((pattern) => expand(tracefs, pattern)))];
}

/** The events that show starts and ends of threads, as `system:event`, as far as this kernel has them. */
export function threadEvents(tracefs: string): string[] {
  const events = [
    ['sched', SCHED_PROCESS_EXIT],
    ['task', TASK_NEWTASK],
  ] as const;
  return events.flatMap(([system, event]) =>
    eventNames(tracefs, system).includes(event) ? [`${system}:${event}`] : [],
  );
}

function expand(tracefs: string, pattern: string): string[] {
  const [system = '', glob = ''] = pattern.split(':');
  const events = eventNames(tracefs, system).filter(namePattern(glob));
  if (events.length === 0)
    throw new AgentError(`${pattern}: this kernel has no such event; see ${join(tracefs, 'available_events')}`);
  return events.map((event) => `${system}:${event}`);
}
