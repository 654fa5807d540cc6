import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { rowsOfEachTable } from '../../../src/snapshot/tables.js';

/** A snapshot in which nothing was counted, to be filled by tests. */
export function emptySnapshot(): Snapshot {
  return { ...rowsOfEachTable(() => []), tracepoints: [], sources: [], unattributedEvents: 0, auditChecks: [] };
}
