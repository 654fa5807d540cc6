import type { Rows, VmRow } from '../../snapshot/tables/row-table.js';
import { compareText } from './text-table.js';

/** Puts the worst rows first, and drops all but the worst ones: a screen is small. */
export class Ranking {
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #top: number;

  /**
   * @param vms the worst one first; any other VM comes after them
   * @param top how many VMs are kept, and how many rows of each in a table
   */
  constructor(vms: readonly string[], top: number) {
    this.#ranks = new Map(vms.map((vm, rank) => [vm, rank]));
    this.#top = top;
  }

  /**
   * The rows that are kept, in their order, and the number of rows that are not.
   * @param compare the order of the rows of a VM
   * @param groupOf rows of a VM in different groups do not take each other's place
   */
  select<Row extends VmRow>(
    rows: Rows<Row>,
    compare: (a: Row, b: Row) => number,
    groupOf: (row: Row) => string = () => '',
  ): { shown: Row[]; hidden: number } {
    const sorted = [...rows].sort((a, b) => this.#compareVms(a.vm, b.vm) || compare(a, b));
    const vms = new Set<string>();
    const sizes = new Map<string, number>();
    const shown = sorted.filter((row) => {
      const group = `${row.vm}\0${groupOf(row)}`;
      const size = (sizes.get(group) ?? 0) + 1;
      sizes.set(group, size);
      vms.add(row.vm);
      return vms.size <= this.#top && size <= this.#top;
    });
    return { shown, hidden: sorted.length - shown.length };
  }

  #compareVms(a: string, b: string): number {
    return this.#rankOf(a) - this.#rankOf(b) || compareText(a, b);
  }

  #rankOf(vm: string): number {
    return this.#ranks.get(vm) ?? this.#ranks.size;
  }
}
