import { AUDIT_OUTCOMES, type LiveAuditRow } from '../audit/live-audit.js';
import type { SourceCounts } from '../count/counters/source-counts.js';
import type { LedgerTotals } from '../count/ledger-totals.js';
import { finish, type Steps } from '../count/stepwise.js';
import type { Snapshot, SourceState } from './snapshot.js';
import { namedCounts } from './tables/named-counts.js';
import type { VmInfo } from './tables/vms.js';
import { TABLE_NAMES, TABLES, type TableName, type TableRows } from './tables.js';

/** Takes a snapshot at once. */
export function takeSnapshot(...parts: Parameters<typeof snapshotSteps>): Snapshot {
  return finish(snapshotSteps(...parts));
}

/**
 * Turns counters by id into rows by name. Between two steps, counters may grow, but no VM or thread may come or go.
 * @param vmInfos the VMs to describe, whether they had events or not
 * @param audit our counts against KVM's own
 */
export function* snapshotSteps(
  totals: LedgerTotals,
  vmInfos: readonly VmInfo[] = [],
  audit: readonly LiveAuditRow[] = [],
): Steps<Snapshot> {
  const input = { ...totals, vmInfos, audit };
  const rows: Partial<Record<TableName, unknown>> = {};
  for (const name of TABLE_NAMES) {
    rows[name] = TABLES[name].rows(input);
    yield;
  }
  return {
    ...(rows as TableRows),
    tracepoints: namedCounts(totals.tracepointHits, totals.vocabulary.tracepoints),
    sources: totals.sources.map(({ name, counts }) => sourceState(name, counts)),
    unattributedEvents: unattributedEvents(totals),
    ...(totals.sampling === undefined ? {} : { sampledFraction: totals.sampling.fraction }),
    auditChecks: AUDIT_OUTCOMES.map((outcome) => ({
      outcome,
      checks: audit.filter((row) => row.outcome === outcome).length,
    })),
  };
}

function unattributedEvents({ vms, layout }: LedgerTotals): number {
  const vcpus = [...(vms.get('')?.vcpus.values() ?? [])];
  return vcpus.reduce(
    (sum, { kernel }) => sum + layout.total('exits', kernel) + layout.total('userspaceExits', kernel),
    0,
  );
}

function sourceState(source: string, counts: SourceCounts): SourceState {
  const { lost, lostInClosedBuffers, unknownGaps, overruns, malformed } = counts;
  const cpus = new Set([...lost.keys(), ...unknownGaps.keys(), ...overruns.keys(), ...lostInClosedBuffers.keys()]);
  return {
    source,
    up: counts.up,
    events: counts.events,
    drains: counts.drains,
    drainSeconds: counts.drainSeconds,
    lost: [...cpus]
      .sort((a, b) => a - b)
      .map((cpu) => ({
        cpu: cpu < 0 ? '' : String(cpu),
        // The same loss is reported twice: by flags in the pages, and by the buffer's statistics, which know the size
        // of every gap.
        events: (lostInClosedBuffers.get(cpu) ?? 0) + Math.max(lost.get(cpu) ?? 0, overruns.get(cpu) ?? 0),
        unknownGaps: overruns.has(cpu) ? 0 : (unknownGaps.get(cpu) ?? 0),
      })),
    malformed: [...malformed].map(([kind, count]) => ({ kind, count })),
  };
}
