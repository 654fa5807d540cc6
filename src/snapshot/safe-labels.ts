/**
 * Values of labels from outside - names of VMs, devices and events - made safe, here for all views: valid Unicode, no control characters,
 * not too long. A value that had to be changed gets a mark of what it was, `~` and 8 hex digits, so that two of them stay two.
 */
import { ExitRows } from './exit-rows.js';
import { FAMILIES, type Family, type RowOf, rowsOf, VM_FIELDS, type VmField } from './families.js';
import type { Snapshot } from './snapshot.js';

export class SafeLabels {
  readonly #length: number;
  /** Value -> the same made safe: of this snapshot, and of the one before. A name may hold on to the whole command line that it is a part of. */
  #known = new Map<string, string>();
  #before: ReadonlyMap<string, string> = new Map();

  /** @param length of the longest value, in UTF-16 units */
  constructor(length: number) {
    this.#length = Math.max(length, MARK_LENGTH);
  }

  apply(snapshot: Snapshot): Snapshot {
    this.#before = this.#known;
    this.#known = new Map();
    const safe: Partial<Snapshot> = {};
    for (const field of VM_FIELDS) this.#applyTo(field, snapshot, safe);
    const tracepoints = snapshot.tracepoints.map((row) => this.#row(row, ['name']));
    return { ...snapshot, ...safe, tracepoints };
  }

  #applyTo<K extends VmField>(field: K, snapshot: Snapshot, safe: Partial<Snapshot>): void {
    const rows = rowsOf(snapshot, field);
    const { labels }: Family<RowOf<K>> = FAMILIES[field];
    const changed =
      rows instanceof ExitRows
        ? rows.relabelled((label) => this.#value(label))
        : rows.map((row) => this.#row(row, labels));
    Object.assign(safe, { [field]: changed });
  }

  /** The same object where nothing has to be changed, which is nearly always. */
  #row<Row extends object>(row: Row, labels: readonly (keyof Row & string)[]): Row {
    let result = row;
    for (const label of labels) {
      const value = String(row[label]);
      const safe = this.#value(value);
      if (safe !== value) result = { ...result, [label]: safe };
    }
    return result;
  }

  #value(value: string): string {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const safe = this.#before.get(value) ?? safeValue(value, this.#length);
    this.#known.set(value, safe);
    return safe;
  }
}

const MARK_LENGTH = 9;
/** Control characters; halves of a character, of which no UTF-8 can be made; what turns the direction of text around. */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

export function safeValue(value: string, length: number): string {
  const clean = value.replace(UNSAFE, '\u{fffd}');
  if (clean === value && value.length <= length) return value;
  const mark = `~${hash(value).toString(16).padStart(8, '0')}`;
  // Not in the middle of a character.
  const cut = clean.slice(0, length - MARK_LENGTH).replace(/[\ud800-\udbff]$/, '');
  return `${cut}${mark}`;
}

/** FNV-1a of the UTF-16 units. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
