import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { markdownTable } from './markdown-table.js';

/** The metrics as a Markdown table: docs/metrics.md. */
export function metricsTable(): string {
  const rows = CATALOGUE.map(({ name, type, labels, help, otel }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
    `\`${otel.name}\` (${otel.unit})`,
  ]);
  return markdownTable(['metric', 'type', 'labels', 'meaning', 'over OTLP'], rows);
}
