import { vmCell } from '../../expose/report/text-table.js';
import { onlyVms, vmsIn } from '../../snapshot/only-vms.js';
import type { Snapshot } from '../../snapshot/snapshot.js';
import { AgentError } from '../../system/errors.js';
import { namePattern } from '../../system/name-pattern.js';

/**
 * The part of the snapshot about VMs that match one of the patterns; all of it if there are none.
 * @param where completes "no such VM ... has", for messages
 */
export function wantedVms(snapshot: Snapshot, patterns: readonly string[], where: string): Snapshot {
  if (patterns.length === 0) return snapshot;
  const matchers = patterns.map(namePattern);
  const isWanted = (vm: string) => matchers.some((isMatch) => isMatch(vmCell(vm)));
  const vms = vmsIn(snapshot);
  if (!vms.some(isWanted))
    throw new AgentError(`--vm=${patterns.join(',')}: no such VM ${where} has ${vms.map(vmCell).join(', ') || 'none'}`);
  return onlyVms(snapshot, isWanted);
}
