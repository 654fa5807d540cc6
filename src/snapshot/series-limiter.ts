import { finish, type Steps } from '../count/stepwise.js';
import { OTHER } from '../trace/names.js';
import { OtherTotals } from './other-totals.js';
import { SafeLabels, type TagOf } from './safe-labels.js';
import { hostSeries, mergedSizes, sizesByVm } from './series-sizes.js';
import type { Snapshot } from './snapshot.js';
import type { Rows } from './tables/row-table.js';
import {
  type RowOf,
  rowsOf,
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
    return finish(this.steps(snapshot));
  }

  /** The same in steps. Finish those of one snapshot before you begin the next one. */
  *steps(snapshot: Snapshot): Steps<Snapshot> {
    const safe = this.#safeLabels.apply(snapshot);
    yield;
    const sizes = sizesByVm(safe);
    for (const vm of this.#limitedVms.keys()) if (!sizes.has(vm)) this.#limitedVms.delete(vm);
    yield;
    this.#limitVms(safe, sizes);
    yield;
    const isLimited = this.#limitedVms.size > 0 || !this.#otherVm.isEmpty;
    const shown = isLimited ? { ...safe, ...this.#limitRows(safe) } : safe;
    yield;
    this.#shown = shown;
    this.#shownSizes = isLimited ? sizesByVm(shown) : sizes;
    const limited = { ...this.#refusals };
    return { ...shown, series: { count: sum(this.#shownSizes.values()) + hostSeries(shown), limited } };
  }

  /** Decides which further VMs are limited. */
  #limitVms(snapshot: Snapshot, sizes: ReadonlyMap<string, number>): void {
    const before = new Set(this.#limitedVms.values());
    this.#limitLargeVms(snapshot, sizes);
    this.#limitGrowingVms(snapshot, sizes);
    const isNew = ([vm, limited]: readonly [string, LimitedVm]) => vm !== OTHER && !before.has(limited);
    this.#admitShown(new Map([...this.#limitedVms].filter(isNew)));
  }

  #limitLargeVms(snapshot: Snapshot, sizes: ReadonlyMap<string, number>): void {
    const { seriesPerVm } = this.#limits;
    const isLarge = (vm: string) => (sizes.get(vm) ?? 0) * 2 >= seriesPerVm && !this.#limitedVms.has(vm);
    const large = new Set([...sizes.keys()].filter(isLarge));
    if (large.size === 0) return;
    for (const [vm, merged] of mergedSizes(snapshot, (each) => (large.has(each) ? each : undefined))) {
      const room = seriesPerVm - merged;
      if ((sizes.get(vm) ?? 0) > room) this.#limit(vm, 'series_per_vm', room);
    }
  }

  #limitGrowingVms(snapshot: Snapshot, sizes: ReadonlyMap<string, number>): void {
    const { series, seriesPerVm } = this.#limits;
    const ofHost = hostSeries(snapshot);
    if ((sum(sizes.values()) + ofHost) * 2 < series) return;
    const shownOf = (vm: string, size: number) => Math.min(size, this.#shownSizes.get(vm) ?? 0);
    const growing = [...sizes].filter(([vm, size]) => {
      // A VM that was limited in an earlier snapshot gets no further series.
      const ownRoom = this.#limitedVms.get(vm)?.room ?? 1;
      return ownRoom > 0 && Math.min(size, seriesPerVm) > shownOf(vm, size);
    });
    let room = growing.length === 0 ? 0 : series - ofHost - sum(mergedSizes(snapshot, () => OTHER).values());
    for (const [vm, size] of sizes) room -= shownOf(vm, size);
    for (const [vm, size] of growing) {
      const more = Math.min(size, seriesPerVm) - shownOf(vm, size);
      if (more <= room) room -= more;
      else this.#limit(vm, 'series', 0);
    }
    // The series of a VM that is really called `other` would be those of the sums.
    if (this.#limitedVms.size > 0 && sizes.has(OTHER) && !this.#limitedVms.has(OTHER)) this.#limit(OTHER, 'series', 0);
  }

  /** Call {@link #admitShown} afterwards, once for all VMs. */
  #limit(vm: string, limit: LimitedVm['limit'], room: number): void {
    const shown = vm === OTHER ? 0 : (this.#shownSizes.get(vm) ?? 0);
    const refused = this.#limitedVms.get(vm)?.refused ?? 0;
    this.#limitedVms.set(vm, { limit, admitted: new Set(), room: room - shown, refused });
  }

  /** Lets VMs keep the series that they have. */
  #admitShown(vms: ReadonlyMap<string, LimitedVm>): void {
    if (this.#shown === undefined || vms.size === 0) return;
    const admit = <Name extends TableName>(name: Name, rows: Rows<RowOf<Name>>) => {
      const table: TableOf<Name> = TABLES[name];
      for (const row of rows.inColumns?.ofVms((vm) => vms.has(vm)) ?? rows)
        vms.get(row.vm)?.admitted.add(`${name}\0${table.keyOf(row)}`);
    };
    for (const name of TABLE_NAMES) admit(name, rowsOf(this.#shown, name));
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
    return rowsOfEachTable((name) => {
      const rows = rowsOf(admitted as TableRows, name);
      const sums = [...otherRows.rows(name), ...this.#otherVm.rows(name)];
      return rows.inColumns?.followedBy(sums) ?? [...rows, ...sums];
    });
  }

  #admittedRows<Name extends TableName>(
    name: Name,
    rows: Rows<RowOf<Name>>,
    otherRows: OtherTotals,
    refused: Map<LimitedVm, number>,
  ): Rows<RowOf<Name>> {
    const table: TableOf<Name> = TABLES[name];
    const isAdmitted = (row: RowOf<Name>) => {
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
    };
    return rows.inColumns?.keep((vm) => !this.#limitedVms.has(vm), isAdmitted) ?? rows.filter(isAdmitted);
  }
}

function admits(vm: LimitedVm, key: string, series: number, isUnlimited: boolean): boolean {
  if (vm.admitted.has(key)) return true;
  if (!isUnlimited && vm.room < series) return false;
  vm.room -= series;
  vm.admitted.add(key);
  return true;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
