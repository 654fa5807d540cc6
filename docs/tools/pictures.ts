/** The pictures of docs/scale.md, drawn from the figures in docs/bench: npm run docs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plot } from './plot.js';

/** What test/bench/cost-by-events.ts writes, as far as it is drawn. */
interface CostFigures {
  readonly points: readonly {
    readonly guests: number;
    readonly eventsPerSecond: number;
    readonly cpuShare: number;
    readonly nsPerEvent: number | null;
  }[];
}

/** Of test/bench/cost-by-series.ts. */
interface ScaleFigures {
  readonly sizes: readonly {
    readonly durations: boolean;
    readonly series: number;
    readonly textMs: number;
    readonly openMetricsMs: number;
    readonly residentBytes: number;
  }[];
}

const SCRAPE_LIMIT_MS = 1000;
const RESIDENT_LIMIT_MB = 300;

/** File name -> content. @param folder has the figures */
export function pictures(folder: string): ReadonlyMap<string, string> {
  return new Map([
    ['cost-by-events.svg', costByEvents(JSON.parse(readFileSync(join(folder, 'cost-by-events.json'), 'utf8')))],
    ['cost-by-series.svg', costBySeries(JSON.parse(readFileSync(join(folder, 'cost-by-series.json'), 'utf8')))],
  ]);
}

function costByEvents({ points }: CostFigures): string {
  const busy = points
    .filter(({ guests, nsPerEvent }) => guests > 0 && nsPerEvent !== null)
    .sort((a, b) => a.eventsPerSecond - b.eventsPerSecond);
  const x = { label: 'events a second', log: true };
  return plot('CPU of the agent against the rate of events', [
    {
      title: 'CPU of the whole process',
      x,
      y: { label: '% of one CPU', log: true },
      lines: [{ name: 'CPU', points: busy.map(({ eventsPerSecond, cpuShare }) => [eventsPerSecond, cpuShare * 100]) }],
    },
    {
      title: 'CPU per event',
      x,
      y: { label: 'ns', log: true },
      lines: [{ name: 'CPU per event', points: busy.map((point) => [point.eventsPerSecond, point.nsPerEvent ?? 0]) }],
    },
  ]);
}

function costBySeries({ sizes }: ScaleFigures): string {
  const most = Math.max(...sizes.map(({ series }) => series));
  const x = { label: 'series' };
  const limit = (name: string, value: number) => ({
    name,
    isLimit: true,
    points: [[0, value] as const, [most, value] as const],
  });
  const exits = sizes.filter(({ durations }) => !durations);
  const times = (of: (size: ScaleFigures['sizes'][number]) => number) =>
    exits.map((size) => [size.series, of(size)] as const);
  const memory = (which: boolean) =>
    sizes
      .filter(({ durations }) => durations === which)
      .map(({ series, residentBytes }) => [series, residentBytes / 1e6] as const);
  return plot('Scrape time and memory of the agent against the number of series', [
    {
      title: 'Time of a scrape',
      x,
      y: { label: 'ms' },
      lines: [
        { name: 'text format', points: times(({ textMs }) => textMs) },
        { name: 'OpenMetrics', points: times(({ openMetricsMs }) => openMetricsMs) },
        limit('what it must stay below', SCRAPE_LIMIT_MS),
      ],
    },
    {
      title: 'Memory',
      x,
      y: { label: 'MB resident' },
      lines: [
        { name: 'exits by vCPU and reason', points: memory(false) },
        { name: 'durations, too', points: memory(true) },
        limit('what it must stay below', RESIDENT_LIMIT_MB),
      ],
    },
  ]);
}
