import { FAMILIES, type Family, keyOf, type RowOf, VM_FIELDS, type VmField } from './families.js';

/** Series into which rows of many are summed. They never fall: what somebody has put in stays when he goes or begins anew. */
export class Sums {
  readonly #fields: { readonly [K in VmField]: FieldSums<RowOf<K>> };

  constructor() {
    const of = <K extends VmField>(field: K) => new FieldSums<RowOf<K>>(FAMILIES[field]);
    this.#fields = {
      vms: of('vms'),
      unpaired: of('unpaired'),
      eventfds: of('eventfds'),
      durations: of('durations'),
      causes: of('causes'),
      io: of('io'),
      qemuEvents: of('qemuEvents'),
      outside: of('outside'),
      exits: of('exits'),
    };
  }

  /** How many there are. */
  get size(): number {
    return VM_FIELDS.reduce((sum, field) => sum + this.#fields[field].size, 0);
  }

  /** All that is there now is about to be told. */
  begin(): void {
    for (const field of VM_FIELDS) this.#fields[field].begin();
  }

  /** @param row with the labels of the sum that it goes to */
  add<K extends VmField>(field: K, from: string, row: RowOf<K>): void {
    const sums: FieldSums<RowOf<K>> = this.#fields[field];
    sums.add(from, row);
  }

  end(): void {
    for (const field of VM_FIELDS) this.#fields[field].end();
  }

  rows<K extends VmField>(field: K): readonly RowOf<K>[] {
    return this.#fields[field].rows();
  }
}

/** Of those who tell it now, and what is left of those who were. By sum, or by who tells it and sum. */
class FieldSums<Row> {
  readonly #family: Family<Row>;
  readonly #left = new Map<string, Row>();
  #told = new Map<string, Map<string, Row>>();
  #before: ReadonlyMap<string, ReadonlyMap<string, Row>> = new Map();

  constructor(family: Family<Row>) {
    this.#family = family;
  }

  get size(): number {
    return this.#left.size + this.#told.size;
  }

  begin(): void {
    this.#before = this.#told;
    this.#told = new Map();
  }

  add(from: string, row: Row): void {
    const told = this.#told.get(from) ?? new Map<string, Row>();
    this.#told.set(from, told);
    addTo(told, row, this.#family);
  }

  end(): void {
    const { value } = this.#family;
    if (value === undefined) return;
    for (const [from, before] of this.#before)
      for (const [key, row] of before) {
        const now = this.#told.get(from)?.get(key);
        if (now === undefined || value(now) < value(row)) addTo(this.#left, row, this.#family);
      }
  }

  rows(): readonly Row[] {
    const sums = new Map(this.#left);
    for (const told of this.#told.values()) for (const row of told.values()) addTo(sums, row, this.#family);
    return [...sums.values()];
  }
}

function addTo<Row>(sums: Map<string, Row>, row: Row, family: Family<Row>): void {
  const key = keyOf(family, row);
  const known = sums.get(key);
  sums.set(key, known === undefined ? row : family.plus(known, row));
}
