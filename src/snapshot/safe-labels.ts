import type { Snapshot } from './snapshot.js';
import type { Rows } from './tables/row-table.js';
import { type RowOf, rowsOf, rowsOfEachTable, TABLES, type TableName, type TableOf } from './tables.js';

/**
 * Makes every label value safe to show, for all views alike: valid Unicode, no control characters, bounded length.
 * Values come from outside: names of VMs, pods, devices, events. A value that had to be changed ends with `~` and a
 * tag made from the original, so that different values stay different. A value that has a `~` in that place by itself
 * is changed too, so that none can imitate another.
 */
export class SafeLabels {
  readonly #maxLength: number;
  /**
   * Value -> safe value, for the values of this snapshot and of the previous one. Older values are dropped, because a
   * name may be a slice of a whole command line and keep it in memory.
   */
  #known = new Map<string, string>();
  #previous: ReadonlyMap<string, string> = new Map();

  readonly #tagOf: TagOf;

  /** @param maxLength in UTF-16 units */
  constructor(maxLength: number, tagOf: TagOf = shortTag) {
    this.#maxLength = Math.max(maxLength, tagOf('').length + 1);
    this.#tagOf = tagOf;
  }

  apply(snapshot: Snapshot): Snapshot {
    this.#previous = this.#known;
    this.#known = new Map();
    return {
      ...snapshot,
      ...rowsOfEachTable((name) => this.#safeRows(name, rowsOf(snapshot, name))),
      tracepoints: snapshot.tracepoints.map((row) => this.#safeRow(row, ['name'])),
    };
  }

  #safeRows<Name extends TableName>(name: Name, rows: Rows<RowOf<Name>>): Rows<RowOf<Name>> {
    // Columns store each label once, not once a row.
    if (rows.inColumns !== undefined) return rows.inColumns.relabelled((label) => this.#safe(label));
    const { columns }: TableOf<Name> = TABLES[name];
    return rows.map((row) => this.#safeRow(row, columns));
  }

  /** Returns the same object if nothing had to be changed, which is nearly always so. */
  #safeRow<Row extends object>(row: Row, columns: readonly (keyof Row & string)[]): Row {
    let result = row;
    for (const column of columns) {
      const value = String(row[column]);
      const safe = this.#safe(value);
      if (safe !== value) result = { ...result, [column]: safe };
    }
    return result;
  }

  #safe(value: string): string {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const safe = this.#previous.get(value) ?? safeValue(value, this.#maxLength, this.#tagOf);
    this.#known.set(value, safe);
    return safe;
  }
}

/**
 * Makes a tag of a value, always of the same length. The program passes a cryptographic hash: with a short one, two
 * names with the same label are found in a second. Passed in, because this folder imports no module of Node.js.
 */
export type TagOf = (value: string) => string;

/** Controls, invisible marks and marks of direction, separators of lines, and halves of surrogate pairs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

export function safeValue(value: string, maxLength: number, tagOf: TagOf = shortTag): string {
  const clean = value.replace(UNSAFE, '\u{fffd}');
  const markLength = tagOf('').length + 1;
  if (clean === value && value.length <= maxLength && value.at(-markLength) !== '~') return value;
  const mark = `~${tagOf(value)}`;
  // A cut in the middle of a character would leave the first half of a surrogate pair.
  const cut = clean.slice(0, maxLength - markLength).replace(/[\ud800-\udbff]$/, '');
  return `${cut}${mark}`;
}

/** FNV-1a of the UTF-16 units: for tests and views of one's own data. */
function shortTag(text: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return (h >>> 0).toString(16).padStart(8, '0');
}
