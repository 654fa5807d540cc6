import { markdownTable } from './markdown-table.js';

/** The fields of docs/bench/side-by-side.json that the table shows; test/bench/side-by-side.ts writes the file. */
export interface SideBySide {
  readonly date: string;
  readonly machine: { readonly cpus: number; readonly kernel: string; readonly node: string };
  readonly rounds: number;
  readonly secondsEach: number;
  readonly rows: readonly {
    readonly tool: string;
    readonly exitsPerSecond: number;
    readonly ratio: number;
    /** One per round, in ascending order. */
    readonly ratios: readonly number[];
    readonly eventsPerSecond: number;
    readonly nsPerEvent: number | null;
    readonly startAndEndNsPerEvent: number;
    readonly lost: number;
  }[];
}

/** This agent's cost beside that of other tools, as a Markdown table: docs/overhead.md. */
export function overheadTable({ date, machine, rounds, secondsEach, rows }: SideBySide): string {
  const { cpus, kernel, node } = machine;
  const table = markdownTable(
    ['watched by', "guests' exits/s", 'of untraced', 'events/s', 'CPU per event', 'of it at start and end', 'lost'],
    rows.map(({ tool, exitsPerSecond, ratio, ratios, eventsPerSecond, nsPerEvent, startAndEndNsPerEvent, lost }) => [
      tool,
      number(exitsPerSecond),
      ratios[0] === ratios.at(-1)
        ? percent(ratio)
        : `${percent(ratio)} (${percent(ratios[0])} to ${percent(ratios.at(-1))})`,
      eventsPerSecond === 0 ? '' : number(eventsPerSecond),
      nsPerEvent === null ? '' : `${number(nsPerEvent)} ns`,
      startAndEndNsPerEvent > 0 ? `${number(startAndEndNsPerEvent)} ns` : '',
      number(lost),
    ]),
  );
  const measured = `Measured on ${date}: ${cpus} CPUs, Linux ${kernel}, Node.js ${node}`;
  return `${table}\n\n${measured}; medians of ${rounds} rounds of ${secondsEach} s.`;
}

function percent(value = Number.NaN): string {
  return `${(value * 100).toFixed(1)} %`;
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
