/** How many series the rows of a snapshot make. Each function reads the rows once, however many VMs there are. */
import { addCount } from '../count/counters/counters.js';
import { HOST_METRICS } from './host-metrics.js';
import type { Snapshot } from './snapshot.js';
import type { Rows } from './tables/row-table.js';
import { type RowOf, rowsOf, TABLE_NAMES, TABLES, type TableName, type TableOf } from './tables.js';

/** VM -> series of its rows. */
export function sizesByVm(snapshot: Snapshot): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const name of TABLE_NAMES) addSizes(name, rowsOf(snapshot, name), sizes);
  return sizes;
}

/**
 * The number of series that rows would make if those of each group were summed in the `other` rows of one VM.
 * @param groupOf the group of a VM; undefined if its rows do not matter
 */
export function mergedSizes(
  snapshot: Snapshot,
  groupOf: (vm: string) => string | undefined,
): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const name of TABLE_NAMES) addMergedSizes(name, rowsOf(snapshot, name), groupOf, sizes);
  return sizes;
}

/** Series that belong to no VM, those about the limits included. */
export function hostSeries(snapshot: Snapshot): number {
  const withLimits = { ...snapshot, series: { count: 0, limited: { series: 0, series_per_vm: 0 } } };
  let count = 0;
  for (const { read } of HOST_METRICS) for (const _ of read(withLimits)) count++;
  return count;
}

function addSizes<Name extends TableName>(name: Name, rows: Rows<RowOf<Name>>, sizes: Map<string, number>): void {
  const table: TableOf<Name> = TABLES[name];
  if (rows.inColumns === undefined) for (const row of rows) addCount(sizes, row.vm, table.seriesOf(row));
  else for (const [vm, count] of rows.inColumns.sizes()) addCount(sizes, vm, count);
}

function addMergedSizes<Name extends TableName>(
  name: Name,
  rows: Rows<RowOf<Name>>,
  groupOf: (vm: string) => string | undefined,
  sizes: Map<string, number>,
): void {
  const table: TableOf<Name> = TABLES[name];
  /** Group -> keys of its `other` rows. */
  const keys = new Map<string, Set<string>>();
  for (const row of rows.inColumns?.ofEachOther() ?? rows) {
    const group = groupOf(row.vm);
    if (group === undefined) continue;
    const own = keys.get(group) ?? new Set<string>();
    keys.set(group, own);
    const key = table.otherKeyOf(row);
    if (own.has(key)) continue;
    own.add(key);
    addCount(sizes, group, table.seriesOf(row));
  }
}
