/** The parts of README.md that are made from tables in the code and from committed measurements: npm run docs. A test says where they are not up to date. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdownTable, optionsTable } from '../../src/config/help.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';

const PARTS: Readonly<Record<string, () => string>> = {
  options: optionsTable,
  metrics: metricsTable,
  overhead: overheadTable,
};

/** What test/bench/side-by-side.ts writes. */
interface SideBySide {
  readonly date: string;
  readonly machine: { readonly cpus: number; readonly kernel: string; readonly node: string };
  readonly rounds: number;
  readonly secondsEach: number;
  readonly rows: readonly {
    readonly tool: string;
    readonly exitsPerSecond: number;
    readonly ratio: number;
    readonly ratios: readonly number[];
    readonly eventsPerSecond: number;
    readonly nsPerEvent: number | null;
    readonly startAndEndNsPerEvent: number;
    readonly lost: number;
  }[];
}

const SIDE_BY_SIDE = join(import.meta.dirname, '../../../docs/bench/side-by-side.json');

export function updated(readme: string): string {
  return Object.entries(PARTS).reduce((text, [name, make]) => withPart(text, name, make()), readme);
}

/** `<!-- name -->` and `<!-- /name -->` stand around each part. */
export function withPart(text: string, name: string, part: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`no ${start} ... ${end}`);
  return `${text.slice(0, from + start.length)}\n\n${part}\n\n${text.slice(to)}`;
}

function metricsTable(): string {
  const rows = CATALOGUE.map(({ name, type, labels, help, otel }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
    `\`${otel.name}\` (${otel.unit})`,
  ]);
  return markdownTable(['metric', 'type', 'labels', 'meaning', 'over OTLP'], rows);
}

function overheadTable(): string {
  const { date, machine, rounds, secondsEach, rows }: SideBySide = JSON.parse(readFileSync(SIDE_BY_SIDE, 'utf8'));
  const { cpus, kernel, node } = machine;
  const percent = (value = Number.NaN) => `${(value * 100).toFixed(1)} %`;
  const number = (value: number) => Math.round(value).toLocaleString('en-US');
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
  return `${table}\n\n${date}, ${cpus} CPUs, Linux ${kernel}, Node.js ${node}; medians of ${rounds} rounds of ${secondsEach} s.`;
}
