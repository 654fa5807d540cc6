/**
 * Keeps the number of series in bounds, for all views alike. What finds no room is summed, never lost:
 *
 * - A VM with more series than it may have: what it has so far stays; what comes later is summed in series of the same VM (`other`).
 * - No room left in all: new VMs, and what known VMs do that is new, are summed in series of a VM `other`.
 *
 * Who is in stays in, and who is out stays out as long as its VM is there, even if there is room again: a sum that something leaves
 * falls, and whoever looks at its rate takes that for a restart. For the same reason, what a VM that is gone left in `other` stays there.
 */
import { CATALOGUE } from './catalogue.js';
import { FAMILIES, type Family, keyOf, OTHER, type RowOf, rowsOf, VM_FIELDS, type VmField } from './families.js';
import { SafeLabels } from './safe-labels.js';
import type { Rows, Snapshot } from './snapshot.js';
import { Sums } from './sums.js';

export interface SeriesLimits {
  readonly series: number;
  readonly seriesPerVm: number;
  readonly labelLength: number;
}

export const DEFAULT_LIMITS: SeriesLimits = { series: 200_000, seriesPerVm: 2000, labelLength: 128 };

/** A VM that may not have all the series that it would. */
interface Limited {
  readonly by: 'series' | 'series_per_vm';
  /** Keys of the rows that it has. */
  readonly rows: Set<string>;
  /** Series that it may add in the snapshot in which it is limited. */
  room: number;
  /** Series that it would have besides. */
  refused: number;
}

type ShownRows = { -readonly [K in VmField]?: RowOf<K>[] };

export class SeriesLimiter {
  readonly #limits: SeriesLimits;
  readonly #safeLabels: SafeLabels;
  readonly #limited = new Map<string, Limited>();
  /** What VMs put into the series of the VM `other`. */
  readonly #shared = new Sums();
  readonly #refusals = { series: 0, series_per_vm: 0 };
  /** What was shown last. */
  #shown: Snapshot | undefined;
  #shownSizes: ReadonlyMap<string, number> = new Map();

  constructor(limits: SeriesLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#safeLabels = new SafeLabels(limits.labelLength);
  }

  /** The snapshot as it may be shown. */
  apply(snapshot: Snapshot): Snapshot {
    const safe = this.#safeLabels.apply(snapshot);
    const sizes = sizesOf(safe);
    for (const vm of this.#limited.keys()) if (!sizes.has(vm)) this.#limited.delete(vm);
    this.#limitVms(safe, sizes);
    const rows = this.#limited.size > 0 || this.#shared.size > 0 ? this.#select(safe) : undefined;
    const shown = rows === undefined ? safe : { ...safe, ...rows };
    this.#shown = shown;
    this.#shownSizes = rows === undefined ? sizes : sizesOf(shown);
    const limited = { ...this.#refusals };
    const own = othersOf({ ...shown, series: { count: 0, limited } });
    return { ...shown, series: { count: sum(this.#shownSizes.values()) + own, limited } };
  }

  #limitVms(snapshot: Snapshot, sizes: ReadonlyMap<string, number>): void {
    const { series, seriesPerVm } = this.#limits;
    for (const [vm, size] of sizes) {
      if (size * 2 < seriesPerVm || this.#limited.has(vm)) continue;
      const room = seriesPerVm - summedSize(snapshot, (row) => row.vm === vm);
      if (size > room) this.#limit(vm, 'series_per_vm', room);
    }
    const fixed = othersOf({ ...snapshot, series: { count: 0, limited: { series: 0, series_per_vm: 0 } } });
    if ((sum(sizes.values()) + fixed) * 2 < series) return;
    const shownOf = (vm: string, size: number) => Math.min(size, this.#shownSizes.get(vm) ?? 0);
    const growing = [...sizes].filter(([vm, size]) => {
      // Those that were limited before have no more to come.
      const ownRoom = this.#limited.get(vm)?.room ?? 1;
      return ownRoom > 0 && Math.min(size, seriesPerVm) > shownOf(vm, size);
    });
    // To sum up all rows takes longer than all else here, and hardly ever is there anything new.
    let room = growing.length === 0 ? 0 : series - fixed - summedSize(snapshot, () => true);
    for (const [vm, size] of sizes) room -= shownOf(vm, size);
    for (const [vm, size] of growing) {
      const more = Math.min(size, seriesPerVm) - shownOf(vm, size);
      if (more <= room) room -= more;
      else this.#limit(vm, 'series', 0);
    }
    // Its series and the sums would be the same.
    if (this.#limited.size > 0 && sizes.has(OTHER) && !this.#limited.has(OTHER)) this.#limit(OTHER, 'series', 0);
  }

  #limit(vm: string, by: Limited['by'], room: number): void {
    const rows = new Set<string>();
    let size = 0;
    if (this.#shown !== undefined && vm !== OTHER)
      forEachRow(this.#shown, (field, row, family) => {
        if (row.vm !== vm) return;
        rows.add(`${field}\0${keyOf(family, row)}`);
        size += family.series;
      });
    this.#limited.set(vm, { by, rows, room: room - size, refused: this.#limited.get(vm)?.refused ?? 0 });
  }

  /** Sorts all rows into those that are shown and those that are summed. */
  #select(snapshot: Snapshot): ShownRows {
    const shown: ShownRows = {};
    const own = new Sums();
    const refused = new Map<Limited, number>();
    this.#shared.begin();
    for (const field of VM_FIELDS) {
      const kept = this.#selectOf(field, rowsOf(snapshot, field), own, refused);
      Object.assign(shown, { [field]: kept });
    }
    this.#shared.end();
    for (const sums of [own, this.#shared])
      for (const field of VM_FIELDS) Object.assign(shown, { [field]: [...(shown[field] ?? []), ...sums.rows(field)] });
    for (const limited of this.#limited.values()) {
      const now = refused.get(limited) ?? 0;
      this.#refusals[limited.by] += Math.max(0, now - limited.refused);
      limited.refused = now;
      limited.room = 0;
    }
    return shown;
  }

  #selectOf<K extends VmField>(
    field: K,
    rows: Rows<RowOf<K>>,
    own: Sums,
    refused: Map<Limited, number>,
  ): readonly RowOf<K>[] {
    const family: Family<RowOf<K>> = FAMILIES[field];
    return rows.filter((row) => {
      const limited = this.#limited.get(row.vm);
      if (limited === undefined || isIn(limited, field, row, family)) return true;
      refused.set(limited, (refused.get(limited) ?? 0) + family.series);
      const sums = limited.by === 'series' ? this.#shared : own;
      const vm = limited.by === 'series' ? OTHER : row.vm;
      sums.add(field, row.vm, { ...row, ...family.other, vm });
      return false;
    });
  }
}

function isIn<K extends VmField>(limited: Limited, field: K, row: RowOf<K>, family: Family<RowOf<K>>): boolean {
  const key = `${field}\0${keyOf(family, row)}`;
  // The sum itself: what it has so far is a part of it.
  if (limited.by === 'series_per_vm' && key === `${field}\0${keyOf(family, { ...row, ...family.other })}`)
    return family.always?.(row) === true;
  if (limited.rows.has(key)) return true;
  const isFree = limited.by === 'series_per_vm' && family.always?.(row) === true;
  if (!isFree && limited.room < family.series) return false;
  limited.room -= family.series;
  limited.rows.add(key);
  return true;
}

function forEachRow(
  snapshot: Snapshot,
  see: <K extends VmField>(field: K, row: RowOf<K>, family: Family<RowOf<K>>) => void,
): void {
  const each = <K extends VmField>(field: K) => {
    for (const row of rowsOf(snapshot, field)) see(field, row, FAMILIES[field]);
  };
  for (const field of VM_FIELDS) each(field);
}

/** Series by VM. */
function sizesOf(snapshot: Snapshot): Map<string, number> {
  const sizes = new Map<string, number>();
  forEachRow(snapshot, (_field, { vm }, { series }) => {
    sizes.set(vm, (sizes.get(vm) ?? 0) + series);
  });
  return sizes;
}

/** How many series some rows would be if all were summed, into series of one VM. */
function summedSize(snapshot: Snapshot, which: (row: { readonly vm: string }) => boolean): number {
  const keys = new Set<string>();
  let size = 0;
  forEachRow(snapshot, (field, row, family) => {
    if (!which(row)) return;
    const key = `${field}\0${keyOf(family, { ...row, ...family.other, vm: OTHER })}`;
    if (!keys.has(key)) size += family.series;
    keys.add(key);
  });
  return size;
}

/** Series that are of no VM. They are few: sources, CPUs, tracepoints. */
function othersOf(snapshot: Snapshot): number {
  let all = 0;
  for (const metric of CATALOGUE) if (!metric.labels.includes('vm')) for (const _ of metric.read(snapshot)) all++;
  return all;
}

function sum(numbers: Iterable<number>): number {
  let all = 0;
  for (const number of numbers) all += number;
  return all;
}
