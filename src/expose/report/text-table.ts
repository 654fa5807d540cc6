import { printable } from '../../system/printable.js';

/** Columns from `firstNumber` on are numbers, aligned to the right. */
export function textTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  firstNumber: number,
): string {
  const lines = [heading, ...rows].map((row) => row.map((cell) => printable(cell)));
  const widths = heading.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const aligned = (cell: string, column: number) =>
    column < firstNumber ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return `${lines.map((cells) => cells.map(aligned).join('  ').trimEnd()).join('\n')}\n`;
}

/** Returns the first rows of each group, and the number of rows left out. */
export function topRows<Row>(
  rows: readonly Row[],
  limit: number,
  groupOf: (row: Row) => string,
): { shown: Row[]; hidden: number } {
  const sizes = new Map<string, number>();
  const shown = rows.filter((row) => {
    const group = groupOf(row);
    const size = (sizes.get(group) ?? 0) + 1;
    sizes.set(group, size);
    return size <= limit;
  });
  return { shown, hidden: rows.length - shown.length };
}

export function vmCell(vm: string): string {
  return vm === '' ? '(unknown)' : vm;
}

export function amount(count: number): string {
  return count.toLocaleString('en-US');
}

export function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

const UNITS = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'us'],
] as const;

/** Three significant digits, `1.24 ms`; nothing smaller than nanoseconds. */
export function time(seconds: number): string {
  const [unit, name] = UNITS.find(([size]) => seconds >= size) ?? [1e-9, 'ns'];
  return `${Number((seconds / unit).toPrecision(3))} ${name}`;
}

/** Compares by UTF-16 units, so that the order does not depend on the locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
