import { agentMetrics } from '../../src/expose/otlp/agent-metrics.js';
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

/** The metrics that OTLP has besides those, by the names that Prometheus gives them: docs/metrics.md. */
export function processTable(): string {
  const rows = agentMetrics('', true).map(({ name, type, labels, help, otel }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
    `\`${otel.name}\` (${otel.unit})`,
  ]);
  return markdownTable(['metric', 'type', 'attributes', 'meaning', 'over OTLP'], rows);
}
