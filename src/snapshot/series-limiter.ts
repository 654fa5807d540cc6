import { OTHER } from '../trace/names.js';
import { HOST_METRICS } from './host-metrics.js';
import { OtherTotals } from './other-totals.js';
import { SafeLabels, type TagOf } from './safe-labels.js';
import type { Snapshot } from './snapshot.js';
import type { Rows } from './tables/row-table.js';
import {
  type RowOf,
  rowsOfEachTable,
  TABLE_NAMES,
  TABLES,
  type TableName,
  type TableOf,
  type TableRows,
} from './tables.js';

export interface SeriesLimits {
  /** Series of all VMs and of the host together. */
  readonly series: number;
  readonly seriesPerVm: number;
  /** Longest label value, in UTF-16 units. */
  readonly labelLength: number;
}

export const DEFAULT_LIMITS: SeriesLimits = { series: 200_000, seriesPerVm: 2000, labelLength: 128 };

/** A VM that may not have a series for each of its rows. */
interface LimitedVm {
  /**
   * The limit that the VM exceeds. `series_per_vm`: its rows are summed under its own name; `series`: under the VM
   * `other`.
   */
  readonly limit: 'series' | 'series_per_vm';
  /** Keys of the rows that keep their series. */
  readonly admitted: Set<string>;
  /** Series that may still be admitted in the snapshot in which the VM is limited; 0 from the next snapshot on. */
  room: number;
  /** Series that its summed rows would make, in the latest snapshot. */
  refused: number;
}

/** Calls a function for each row of each table, where the type of the row depends on the table. */
type RowVisitor = <Name extends TableName>(name: Name, row: RowOf<Name>, table: TableOf<Name>) => void;

/** The tables in the order in which their rows are admitted. */
const ADMISSION_ORDER = [...TABLE_NAMES].reverse();

/**
 * Keeps the number of series within limits, for all views alike. Rows that find no room are summed, never dropped:
 *
 * - A VM with too many series keeps those that it has; rows that appear later are summed in `other` rows of the same
 *   VM.
 * - When all series together are too many, new VMs, and new rows of known VMs, are summed in the rows of a VM called
 *   `other`.
 *
 * Admission is sticky: a row with a series keeps it, and a summed row stays summed as long as its VM exists, even when
 * there is room again. Moving a row out of a sum would make the sum decrease, which `rate()` reads as a counter reset.
 * For the same reason the contribution of a VM to the VM `other` stays after the VM has disappeared.
 */
export class SeriesLimiter {
  readonly #limits: SeriesLimits;
  readonly #safeLabels: SafeLabels;
  readonly #limitedVms = new Map<string, LimitedVm>();
  /** The rows of the VM `other`. */
  readonly #otherVm = new OtherTotals();
  /** Series refused since the start, by limit. */
  readonly #refusals = { series: 0, series_per_vm: 0 };
  /** The latest result, and the number of its series by VM. */
  #shown: Snapshot | undefined;
  #shownSizes: ReadonlyMap<string, number> = new Map();

  constructor(limits: SeriesLimits = DEFAULT_LIMITS, tagOf?: TagOf) {
    this.#limits = limits;
    this.#safeLabels = new SafeLabels(limits.labelLength, tagOf);
  }

  /** Returns the snapshot as it may be shown. */
  apply(snapshot: Snapshot): Snapshot {
    const safe = this.#safeLabels.apply(snapshot);
    const sizes = sizesByVm(safe);
    for (const vm of this.#limitedVms.keys()) if (!sizes.has(vm)) this.#limitedVms.delete(vm);
    this.#limitVms(safe, sizes);
    const isLimited = this.#limitedVms.size > 0 || !this.#otherVm.isEmpty;
    const shown = isLimited ? { ...safe, ...this.#limitRows(safe) } : safe;
    this.#shown = shown;
    this.#shownSizes = isLimited ? sizesByVm(shown) : sizes;
    const limited = { ...this.#refusals };
    return { ...shown, series: { count: sum(this.#shownSizes.values()) + hostSeries(shown), limited } };
  }

  /** Decides which further VMs are limited. */
  #limitVms(snapshot: Snapshot, sizes: ReadonlyMap<string, number>): void {
    const { series, seriesPerVm } = this.#limits;
    for (const [vm, size] of sizes) {
      if (size * 2 < seriesPerVm || this.#limitedVms.has(vm)) continue;
      const room = seriesPerVm - mergedSize(snapshot, (row) => row.vm === vm);
      if (size > room) this.#limit(vm, 'series_per_vm', room);
    }
    const ofHost = hostSeries(snapshot);
    if ((sum(sizes.values()) + ofHost) * 2 < series) return;
    const shownOf = (vm: string, size: number) => Math.min(size, this.#shownSizes.get(vm) ?? 0);
    const growing = [...sizes].filter(([vm, size]) => {
      // A VM that was limited in an earlier snapshot gets no further series.
      const ownRoom = this.#limitedVms.get(vm)?.room ?? 1;
      return ownRoom > 0 && Math.min(size, seriesPerVm) > shownOf(vm, size);
    });
    // Merging all rows takes longer than the rest of this class, and there is rarely a VM that grows.
    let room = growing.length === 0 ? 0 : series - ofHost - mergedSize(snapshot, () => true);
    for (const [vm, size] of sizes) room -= shownOf(vm, size);
    for (const [vm, size] of growing) {
      const more = Math.min(size, seriesPerVm) - shownOf(vm, size);
      if (more <= room) room -= more;
      else this.#limit(vm, 'series', 0);
    }
    // The series of a VM that is really called `other` would be those of the sums.
    if (this.#limitedVms.size > 0 && sizes.has(OTHER) && !this.#limitedVms.has(OTHER)) this.#limit(OTHER, 'series', 0);
  }

  #limit(vm: string, limit: LimitedVm['limit'], room: number): void {
    const admitted = new Set<string>();
    let size = 0;
    if (this.#shown !== undefined && vm !== OTHER)
      forEachRow(this.#shown, (name, row, table) => {
        if (row.vm !== vm) return;
        admitted.add(`${name}\0${table.keyOf(row)}`);
        size += table.seriesOf(row);
      });
    this.#limitedVms.set(vm, {
      limit,
      admitted,
      room: room - size,
      refused: this.#limitedVms.get(vm)?.refused ?? 0,
    });
  }

  /** Separates the rows that keep their series from those that are summed. */
  #limitRows(snapshot: Snapshot): TableRows {
    // Used for this snapshot only, because a VM that disappears takes its own `other` rows along.
    const otherRows = new OtherTotals();
    const refused = new Map<LimitedVm, number>();
    this.#otherVm.begin();
    const admitted: Partial<Record<TableName, unknown>> = {};
    for (const name of ADMISSION_ORDER) admitted[name] = this.#admittedRows(name, snapshot[name], otherRows, refused);
    this.#otherVm.end();
    for (const vm of this.#limitedVms.values()) {
      const now = refused.get(vm) ?? 0;
      this.#refusals[vm.limit] += Math.max(0, now - vm.refused);
      vm.refused = now;
      vm.room = 0;
    }
    return rowsOfEachTable((name) => [
      ...(admitted as TableRows)[name],
      ...otherRows.rows(name),
      ...this.#otherVm.rows(name),
    ]);
  }

  #admittedRows<Name extends TableName>(
    name: Name,
    rows: Rows<RowOf<Name>>,
    otherRows: OtherTotals,
    refused: Map<LimitedVm, number>,
  ): readonly RowOf<Name>[] {
    const table: TableOf<Name> = TABLES[name];
    return rows.filter((row) => {
      const vm = this.#limitedVms.get(row.vm);
      if (vm === undefined) return true;
      const isOwnOther = vm.limit === 'series_per_vm';
      const other = table.asOther(row, isOwnOther ? row.vm : OTHER);
      const isUnlimited = isOwnOther && table.isUnlimited(row);
      const key = table.keyOf(row);
      // A row that has the labels of its `other` row is a part of that sum.
      if (isOwnOther && key === table.keyOf(other)) {
        if (isUnlimited) return true;
      } else if (admits(vm, `${name}\0${key}`, table.seriesOf(row), isUnlimited)) return true;
      refused.set(vm, (refused.get(vm) ?? 0) + table.seriesOf(row));
      (isOwnOther ? otherRows : this.#otherVm).add(name, row.vm, other);
      return false;
    });
  }
}

function admits(vm: LimitedVm, key: string, series: number, isUnlimited: boolean): boolean {
  if (vm.admitted.has(key)) return true;
  if (!isUnlimited && vm.room < series) return false;
  vm.room -= series;
  vm.admitted.add(key);
  return true;
}

function forEachRow(snapshot: Snapshot, visit: RowVisitor): void {
  const visitTable = <Name extends TableName>(name: Name, rows: Rows<RowOf<Name>>) => {
    const table: TableOf<Name> = TABLES[name];
    for (const row of rows) visit(name, row, table);
  };
  for (const name of TABLE_NAMES) visitTable(name, snapshot[name]);
}

/** VM -> series of its rows. */
function sizesByVm(snapshot: Snapshot): Map<string, number> {
  const sizes = new Map<string, number>();
  forEachRow(snapshot, (_name, row, table) => {
    sizes.set(row.vm, (sizes.get(row.vm) ?? 0) + table.seriesOf(row));
  });
  return sizes;
}

/** The number of series that the chosen rows would make if all of them were summed in the rows of one VM. */
function mergedSize(snapshot: Snapshot, isChosen: (row: { readonly vm: string }) => boolean): number {
  const keys = new Set<string>();
  let size = 0;
  forEachRow(snapshot, (name, row, table) => {
    if (!isChosen(row)) return;
    const key = `${name}\0${table.keyOf(table.asOther(row, OTHER))}`;
    if (!keys.has(key)) size += table.seriesOf(row);
    keys.add(key);
  });
  return size;
}

/** Series that belong to no VM, those about the limits included. */
function hostSeries(snapshot: Snapshot): number {
  const withLimits = { ...snapshot, series: { count: 0, limited: { series: 0, series_per_vm: 0 } } };
  let count = 0;
  for (const { read } of HOST_METRICS) for (const _ of read(withLimits)) count++;
  return count;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
