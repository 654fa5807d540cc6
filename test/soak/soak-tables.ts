import { markdownTable } from '../../docs/tools/markdown-table.js';
import type { SoakReport } from './soak.js';

/** Rows in the table of measurements: enough to show the course of a soak. */
const MAX_ROWS = 12;

/** The report of a soak as Markdown tables. */
export function soakTables({ rows, verdicts }: SoakReport): string {
  const step = Math.max(1, Math.ceil(rows.length / MAX_ROWS));
  const shown = rows.filter((_, index) => (index + 1) % step === 0 || index === 0);
  const figures = shown.map((row) => [
    (row.seconds / 60).toFixed(row.seconds < 600 ? 1 : 0),
    String(row.vms),
    megabytes(row.residentBytes),
    megabytes(row.heapBytes),
    megabytes(row.samplingResidentBytes),
    megabytes(row.topResidentBytes),
    String(row.fileDescriptors),
    String(row.series),
    row.slowestScrapeMs.toFixed(0),
    String(row.events),
    String(row.eventsLost),
    row.cpuSeconds.toFixed(1),
  ]);
  return [
    markdownTable(
      ['criterion', 'holds', 'figures'],
      verdicts.map(({ criterion, holds, figures }) => [criterion, holds ? 'yes' : '**no**', figures]),
    ),
    markdownTable(
      [
        'minute',
        'VMs',
        'resident MB',
        'heap MB',
        'sampling MB',
        '`top` MB',
        'file descriptors',
        'series',
        'slowest scrape ms',
        'events',
        'lost',
        'CPU s',
      ],
      figures,
    ),
  ].join('\n\n');
}

/** JSON has null for a figure that is not known. */
function megabytes(bytes: number | null | undefined): string {
  return typeof bytes === 'number' && Number.isFinite(bytes) ? (bytes / 1e6).toFixed(1) : '?';
}
