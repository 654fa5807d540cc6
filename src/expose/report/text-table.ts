import { printable } from '../../system/printable.js';

/** Columns from `firstNumber` on are numbers, aligned to the right. */
export function textTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  firstNumber: number,
): string {
  const lines = [heading, ...rows].map((row) => row.map((cell) => printable(cell)));
  const widths = heading.map((_, column) =>
    lines.reduce((width, cells) => Math.max(width, cells[column]?.length ?? 0), 0),
  );
  const aligned = (cell: string, column: number) =>
    column < firstNumber ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return `${lines.map((cells) => cells.map(aligned).join('  ').trimEnd()).join('\n')}\n`;
}

export function vmCell(vm: string): string {
  return vm === '' ? '(unknown)' : vm;
}

export function amount(count: number): string {
  return count.toLocaleString('en-US');
}

/** One decimal; a small part is not shown as none. */
export function percent(part: number): string {
  if (part > 0 && part < 0.0005) return '< 0.1 %';
  return `${(part * 100).toFixed(1)} %`;
}

/** A figure by second, without its unit: at least three significant digits, `21,760` or `0.0341`. */
export function rate(perSecond: number): string {
  return perSecond >= 100
    ? amount(Math.round(perSecond))
    : perSecond.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** A figure as text. It is never shown as 0 if it is not known. */
export function known<Figure>(
  figure: Figure | undefined,
  show: (figure: Figure) => string,
  unknown = 'unknown',
): string {
  return figure === undefined ? unknown : show(figure);
}

/** A line about the rows that a table leaves out; '' if there are none. */
export function moreRows(hidden: number): string {
  return hidden === 0 ? '' : `... and ${amount(hidden)} more (--top shows more, --format json all)\n`;
}

const UNITS = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'us'],
] as const;

/** Three significant digits, `1.24 ms`; nothing smaller than nanoseconds, nothing larger than seconds. */
export function time(seconds: number): string {
  const [unit, name] = UNITS.find(([size]) => seconds >= size) ?? [1e-9, 'ns'];
  return `${Number((seconds / unit).toPrecision(3))} ${name}`;
}

/** Compares by UTF-16 units, so that the order does not depend on the locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A table with its title, and how many rows it leaves out; '' if it has no rows. */
export function section<Row>(
  title: string,
  heading: readonly string[],
  { shown, hidden }: { readonly shown: readonly Row[]; readonly hidden: number },
  cells: (row: Row) => string[],
  firstNumber: number,
): string {
  if (shown.length === 0) return '';
  return `${title}\n\n${textTable(heading, shown.map(cells), firstNumber)}${moreRows(hidden)}`;
}
