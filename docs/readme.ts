/** The parts of README.md that are made from tables in the code: npm run docs. A test says where they are not up to date. */
import { markdownTable, optionsTable } from '../src/config/help.js';
import { CATALOGUE } from '../src/count/catalogue.js';

const PARTS: Readonly<Record<string, () => string>> = {
  options: optionsTable,
  metrics: metricsTable,
};

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
