import { ADVICE } from './tables/advice.js';
import { CAUSES } from './tables/causes.js';
import { DURATIONS } from './tables/durations.js';
import { EVENTFDS } from './tables/eventfds.js';
import { EXITS } from './tables/exits.js';
import { APICV_INHIBITS } from './tables/indices/apicv-inhibits.js';
import { CPUID_LEAVES } from './tables/indices/cpuid-leaves.js';
import { HYPERCALL_COUNTS } from './tables/indices/hypercalls.js';
import { MSRS } from './tables/indices/msrs.js';
import { GHCB_EXITS, NESTED_EXITS } from './tables/indices/nested-exits.js';
import { PAGE_FAULTS } from './tables/indices/page-faults.js';
import { IO } from './tables/io.js';
import { QEMU_EVENTS } from './tables/qemu-events.js';
import type { Rows, RowTable } from './tables/row-table.js';
import { AUDITS } from './tables/statistics/audits.js';
import { FOCUSED_VMS } from './tables/statistics/focused-vms.js';
import { STAT_CURRENT, STAT_SECONDS, STAT_TOTALS } from './tables/statistics/kvm-statistics.js';
import { SAMPLING_ERRORS } from './tables/statistics/sampling-errors.js';
import { STAT_DURATIONS } from './tables/statistics/stat-durations.js';
import { UNPAIRED } from './tables/unpaired.js';
import { VCPU_TIMES } from './tables/vcpu-times.js';
import { VM_STARTS } from './tables/vm-starts.js';
import { type TotalsWithVms, VMS } from './tables/vms.js';

const LIST = {
  exits: EXITS,
  statTotals: STAT_TOTALS,
  statSeconds: STAT_SECONDS,
  vcpuTimes: VCPU_TIMES,
  io: IO,
  msrs: MSRS,
  cpuidLeaves: CPUID_LEAVES,
  hypercalls: HYPERCALL_COUNTS,
  nestedExits: NESTED_EXITS,
  ghcbExits: GHCB_EXITS,
  pageFaults: PAGE_FAULTS,
  apicvInhibits: APICV_INHIBITS,
  causes: CAUSES,
  samplingErrors: SAMPLING_ERRORS,
  focusedVms: FOCUSED_VMS,
  durations: DURATIONS,
  statDurations: STAT_DURATIONS,
  statCurrent: STAT_CURRENT,
  audits: AUDITS,
  eventfds: EVENTFDS,
  qemuEvents: QEMU_EVENTS,
  unpaired: UNPAIRED,
  advice: ADVICE,
  vmStarts: VM_STARTS,
  vms: VMS,
};

export type TableName = keyof typeof LIST;

/** Name of a table -> its row. */
type RowTypes = {
  readonly [Name in TableName]: (typeof LIST)[Name] extends RowTable<infer Row, never> ? Row : never;
};

export type RowOf<Name extends TableName> = RowTypes[Name];

export type TableOf<Name extends TableName> = RowTable<RowOf<Name>, TotalsWithVms>;

/**
 * Every kind of row that belongs to a VM, under its name in a snapshot, from the most rows per VM to the fewest. Where
 * series are limited, the last tables get room first, so that many vCPUs do not push out what exists once per VM.
 */
export const TABLES: { readonly [Name in TableName]: TableOf<Name> } = LIST;

// Object.keys() does not know that LIST has no further keys.
export const TABLE_NAMES = Object.keys(LIST) as readonly TableName[];

/** The rows of every table. */
export type TableRows = { readonly [Name in TableName]: Rows<RowOf<Name>> };

export function rowsOf<Name extends TableName>(tables: TableRows, name: Name): Rows<RowOf<Name>> {
  return tables[name];
}

/** Collects the rows that a function returns for each table. */
export function rowsOfEachTable(makeRows: <Name extends TableName>(name: Name) => Rows<RowOf<Name>>): TableRows {
  return Object.fromEntries(TABLE_NAMES.map((name) => [name, makeRows(name)])) as TableRows;
}
