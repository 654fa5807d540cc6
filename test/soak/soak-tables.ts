/** A soak's report as Markdown. */
import { markdownTable } from '../../src/config/help.js';
import type { SoakReport } from './soak.js';

/** A row for every minute makes a long table; so many show the course. */
const ROWS = 12;

export function soakTables({ rows, verdicts }: SoakReport): string {
  const step = Math.max(1, Math.ceil(rows.length / ROWS));
  const shown = rows.filter((_, index) => (index + 1) % step === 0 || index === 0);
  const figures = shown.map((row) => [
    (row.seconds / 60).toFixed(row.seconds < 600 ? 1 : 0),
    String(row.vms),
    megabytes(row.residentBytes),
    megabytes(row.heapBytes),
    String(row.handles),
    String(row.series),
    row.slowestScrapeMs.toFixed(0),
    String(row.events),
    String(row.eventsLost),
    row.cpuSeconds.toFixed(1),
  ]);
  return [
    markdownTable(
      ['judged', 'holds', 'figures'],
      verdicts.map(({ what, holds, figures }) => [what, holds ? 'yes' : '**no**', figures]),
    ),
    markdownTable(
      ['minute', 'VMs', 'resident MB', 'heap MB', 'handles', 'series', 'slowest scrape ms', 'events', 'lost', 'CPU s'],
      figures,
    ),
  ].join('\n\n');
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
