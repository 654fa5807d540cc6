/** The plots of docs/scale.md, drawn from the figures in docs/bench. */
import { plot } from './plot.js';
import type { ScaleFigures } from './scale-table.js';

/** The fields of docs/bench/cost-by-events.json that are drawn; test/bench/cost-by-events.ts writes the file. */
interface CostFigures {
  readonly points: readonly {
    readonly guests: number;
    readonly eventsPerSecond: number;
    readonly cpuShare: number;
    readonly nsPerEvent: number | null;
  }[];
}

/** What a host may take at most whose series fit into the default limit (docs/scale.md). */
export const SCRAPE_LIMIT_MS = 300;
export const RESIDENT_LIMIT_MB = 300;

/** Path of each plot below the repository -> its SVG. @param read parses a file of docs/bench */
export function benchPlots(read: <Figures>(file: string) => Figures): ReadonlyMap<string, string> {
  return new Map([
    ['docs/bench/cost-by-events.svg', costByEvents(read<CostFigures>('cost-by-events.json'))],
    ['docs/bench/cost-by-series.svg', costBySeries(read<ScaleFigures>('cost-by-series.json'))],
  ]);
}

function costByEvents({ points }: CostFigures): string {
  const busy = points
    .filter(({ guests, nsPerEvent }) => guests > 0 && nsPerEvent !== null)
    .sort((a, b) => a.eventsPerSecond - b.eventsPerSecond);
  const x = { label: 'events a second', log: true };
  return plot('CPU of the agent against the rate of events', 'cost-by-events.json', [
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
  const highest = Math.max(...sizes.map(({ series }) => series));
  const x = { label: 'series' };
  const limit = (value: number) => ({
    name: 'limit',
    isLimit: true,
    points: [[0, value] as const, [highest, value] as const],
  });
  const withoutDurations = sizes.filter(({ durations }) => !durations);
  const times = (timeOf: (size: ScaleFigures['sizes'][number]) => number) =>
    withoutDurations.map((size) => [size.series, timeOf(size)] as const);
  const memory = (withDurations: boolean) =>
    sizes
      .filter(({ durations }) => durations === withDurations)
      .map(({ series, residentBytes }) => [series, residentBytes / 1e6] as const);
  return plot('Scrape time and memory of the agent against the number of series', 'cost-by-series.json', [
    {
      title: 'Time of a scrape',
      x,
      y: { label: 'ms' },
      lines: [
        { name: 'text format', points: times(({ textMs }) => textMs) },
        { name: 'OpenMetrics', points: times(({ openMetricsMs }) => openMetricsMs) },
        limit(SCRAPE_LIMIT_MS),
      ],
    },
    {
      title: 'Memory',
      x,
      y: { label: 'MB resident' },
      lines: [
        { name: 'exits by vCPU and reason', points: memory(false) },
        { name: 'with durations', points: memory(true) },
        limit(RESIDENT_LIMIT_MB),
      ],
    },
  ]);
}
