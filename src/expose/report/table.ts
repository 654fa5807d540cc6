/** Aligned columns of text for a terminal, and numbers as people read them. */

/** Columns from `firstNumber` on are numbers: aligned to the right. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[], firstNumber: number): string {
  const all = [heading, ...rows].map((row) => row.map(printable));
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column < firstNumber ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return `${all.map((row) => line(row).trimEnd()).join('\n')}\n`;
}

/** The first rows of each group, and how many more there are. */
export function topRows<T>(
  rows: readonly T[],
  limit: number,
  groupOf: (row: T) => string,
): { shown: T[]; hidden: number } {
  const taken = new Map<string, number>();
  const shown = rows.filter((row) => {
    const group = groupOf(row);
    taken.set(group, (taken.get(group) ?? 0) + 1);
    return (taken.get(group) ?? 0) <= limit;
  });
  return { shown, hidden: rows.length - shown.length };
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

/** `1.24 ms`: three digits that matter, never less than a nanosecond. */
export function time(seconds: number): string {
  const [unit, name] = UNITS.find(([size]) => seconds >= size) ?? [1e-9, 'ns'];
  return `${Number((seconds / unit).toPrecision(3))} ${name}`;
}

/** Names come from outside: one with line breaks or escape sequences in it must not rearrange the terminal. */
function printable(cell: string): string {
  return cell.replace(/\p{Cc}/gu, '\u{fffd}');
}
