import type { Snapshot } from './snapshot.js';
import { rowsOf, rowsOfEachTable, TABLE_NAMES } from './tables.js';

/** The VMs that have rows, by name; '' for threads of no known VM. */
export function vmsIn(snapshot: Snapshot): string[] {
  const vms = new Set<string>();
  for (const name of TABLE_NAMES) for (const { vm } of rowsOf(snapshot, name)) vms.add(vm);
  return [...vms].sort();
}

/** The rows of some VMs. What is not about single VMs stays: tracepoints, and the state of sources. */
export function onlyVms(snapshot: Snapshot, isWanted: (vm: string) => boolean): Snapshot {
  return {
    ...snapshot,
    ...rowsOfEachTable((name) => rowsOf(snapshot, name).filter(({ vm }) => isWanted(vm))),
    unattributedEvents: isWanted('') ? snapshot.unattributedEvents : 0,
  };
}
