import type { RowTable, VmRow } from './tables/row-table.js';
import { type RowOf, TABLE_NAMES, TABLES, type TableName } from './tables.js';

/**
 * Running totals behind the `other` rows of every table. What a VM has contributed stays when the VM disappears or its
 * counters restart, so a total never decreases.
 *
 * For each snapshot, call {@link begin}, then {@link add} every row that is summed, then {@link end}.
 */
export class OtherTotals {
  readonly #tables: { readonly [Name in TableName]: TableTotals<RowOf<Name>> };

  constructor() {
    const totalsOf = <Name extends TableName>(name: Name) => new TableTotals<RowOf<Name>>(TABLES[name]);
    // TypeScript cannot follow the name of a table through Object.fromEntries().
    this.#tables = Object.fromEntries(TABLE_NAMES.map((name) => [name, totalsOf(name)])) as unknown as {
      readonly [Name in TableName]: TableTotals<RowOf<Name>>;
    };
  }

  get isEmpty(): boolean {
    return TABLE_NAMES.every((name) => this.#tables[name].isEmpty);
  }

  begin(): void {
    for (const name of TABLE_NAMES) this.#tables[name].begin();
  }

  /**
   * @param vm the VM that the row comes from
   * @param row with the labels of the `other` row that it is summed into
   */
  add<Name extends TableName>(name: Name, vm: string, row: RowOf<Name>): void {
    const totals: TableTotals<RowOf<Name>> = this.#tables[name];
    totals.add(vm, row);
  }

  end(): void {
    for (const name of TABLE_NAMES) this.#tables[name].end();
  }

  rows<Name extends TableName>(name: Name): readonly RowOf<Name>[] {
    return this.#tables[name].rows();
  }
}

/** Key of an `other` row -> the row. */
type RowsByKey<Row> = Map<string, Row>;

class TableTotals<Row extends VmRow> {
  readonly #table: RowTable<Row, never>;
  /** Contributions of VMs that disappeared and of counters that restarted. */
  readonly #past: RowsByKey<Row> = new Map();
  /** VM -> its contributions to the snapshot at hand. */
  #current = new Map<string, RowsByKey<Row>>();
  /** VM -> its contributions to the previous snapshot. */
  #previous: ReadonlyMap<string, RowsByKey<Row>> = new Map();

  constructor(table: RowTable<Row, never>) {
    this.#table = table;
  }

  get isEmpty(): boolean {
    return this.#past.size + this.#current.size === 0;
  }

  begin(): void {
    this.#previous = this.#current;
    this.#current = new Map();
  }

  add(vm: string, row: Row): void {
    const ofVm = this.#current.get(vm) ?? new Map<string, Row>();
    this.#current.set(vm, ofVm);
    this.#addTo(ofVm, row);
  }

  end(): void {
    for (const [vm, previousRows] of this.#previous)
      for (const [key, previous] of previousRows) {
        const counted = this.#table.counted(previous);
        // A gauge is a figure of now: nothing of it stays.
        if (counted === undefined) continue;
        const now = this.#current.get(vm)?.get(key);
        if (now === undefined || (this.#table.counted(now) ?? 0) < counted) this.#addTo(this.#past, previous);
      }
  }

  rows(): readonly Row[] {
    const totals = new Map(this.#past);
    for (const ofVm of this.#current.values()) for (const row of ofVm.values()) this.#addTo(totals, row);
    return [...totals.values()];
  }

  #addTo(totals: RowsByKey<Row>, row: Row): void {
    const key = this.#table.keyOf(row);
    const known = totals.get(key);
    totals.set(key, known === undefined ? row : this.#table.add(known, row));
  }
}
