import type { FleetReport } from '../../test/bench/fleet/report.js';
import { markdownTable } from './markdown-table.js';

const DAY_S = 86_400;
/** Hosts of the columns that are multiples of what was measured. */
const SIZES = [100, 1000, 10_000] as const;

/** What a fleet costs Prometheus: docs/fleet.md. */
export function fleetSizes(report: FleetReport): string {
  const { agents, vms, vcpus, scraping, disk, historyDisk, intervalSeconds, recordedEverySeconds } = report;
  const { series, recordedSeries, samplesPerSecond, cpuShare, residentBytes } = scraping;
  const bytesPerDay =
    (DAY_S / intervalSeconds) * series * (disk.bytes / disk.samples) +
    (DAY_S / recordedEverySeconds) * recordedSeries * (historyDisk.bytes / historyDisk.samples);
  const rows: readonly (readonly [string, number, (value: number) => string])[] = [
    ['VMs', vms, number],
    ['vCPUs', vcpus, number],
    ['series of the agents', series, number],
    ['series of the recording rules', recordedSeries, number],
    ['samples per second', samplesPerSecond, number],
    ['CPUs for scrapes and rules', cpuShare, (value) => value.toFixed(value < 10 ? 2 : 0)],
    ['memory of Prometheus', residentBytes, bytes],
    ['the same after queries over 24 hours', report.residentBytesAfterQueries, bytes],
    ['disk for a day', bytesPerDay, bytes],
  ];
  return markdownTable(
    ['', `${number(agents)} hosts, measured`, ...SIZES.map((hosts) => `${number(hosts)} hosts`)],
    rows.map(([name, value, text]) => [name, text(value), ...SIZES.map((hosts) => text((value * hosts) / agents))]),
  );
}

export function fleetRules({ groups }: FleetReport): string {
  return markdownTable(
    ['group', 'rules', 'evaluated every', 'longest evaluation', 'of its interval'],
    groups.map(({ group, rules, seconds, intervalSeconds }) => {
      const longest = Math.max(...seconds);
      const share = `${((100 * longest) / intervalSeconds).toFixed(1)} %`;
      return [group, String(rules), `${intervalSeconds} s`, `${longest.toFixed(2)} s`, share];
    }),
  );
}

export function fleetPanels({ panels }: FleetReport): string {
  return markdownTable(
    ['panel', 'queries', 'the first time', 'again'],
    panels.map(({ panel, queries, first, median }) => [
      panel,
      String(queries),
      `${first.toFixed(2)} s`,
      `${median.toFixed(2)} s`,
    ]),
  );
}

/** How the run was made, and figures that are in none of the tables. */
export function fleetRun({
  date,
  machine,
  prometheus,
  agents,
  hours,
  intervalSeconds,
  ...report
}: FleetReport): string {
  const { scraping, disk, historyDisk, dashboardSeconds } = report;
  const gigabytes = Math.round(machine.memoryBytes / 2 ** 30);
  return [
    `- ${date}: ${machine.cpus} CPUs, ${gigabytes} GB of memory, Linux ${machine.kernel}, Prometheus ${prometheus}.`,
    `- ${agents} agents, scraped every ${intervalSeconds} s; queries over ${hours} hours.`,
    `- A scrape takes ${scraping.meanScrapeSeconds.toFixed(2)} s on average, ${scraping.maxScrapeSeconds.toFixed(2)} s at most.`,
    `- A sample of an agent takes ${(disk.bytes / disk.samples).toFixed(1)} bytes on disk.`,
    `- A sample that a rule makes takes ${(historyDisk.bytes / historyDisk.samples).toFixed(1)} bytes.`,
    `- All panels of the Fleet dashboard at the same time take ${dashboardSeconds.toFixed(1)} s.`,
  ].join('\n');
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function bytes(value: number): string {
  const [unit, name] = value >= 1e12 ? [1e12, 'TB'] : value >= 1e9 ? [1e9, 'GB'] : [1e6, 'MB'];
  return `${(value / unit).toFixed(value / unit < 10 ? 1 : 0)} ${name}`;
}
