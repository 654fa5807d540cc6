/**
 * A fleet of agents in one Prometheus 3: `node build/test/bench/fleet/run.js [AGENTS] [HOURS] [FILE.json]`. Takes seven
 * minutes, 8 GB of memory, and the programs that test/support/peers/build.ts builds. Needs no guests and no rights.
 *
 * 200 agents of 2,000 to 10,000 series are scraped every 30 s. Their series are those of the demonstration, which
 * host-tables.ts records, with more VMs and vCPUs. Before that, Prometheus gets by remote write:
 *
 *   24 hours            of each series that the Fleet dashboard or a rule reads over hours
 *   5 minutes           of each other series, so that rates have full windows
 *
 * Measured are, while the agents are scraped:
 *
 *   CPU, memory         of Prometheus, over two minutes, with all rules and without queries
 *   rules               how long each evaluation of a group took
 *   panels              how long the queries of each panel of the Fleet dashboard take over the 24 hours
 *   bytes per sample    in blocks on disk, in a Prometheus of its own: 24 hours of all series of one agent
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../../support/end-later.js';
import { PROMETHEUS_VERSION } from '../../support/peers/binaries.js';
import { longSeries, namesReadOverHours, withHours, writeHours, writeWarmUp } from './history.js';
import { type HostTables, recordTables } from './host-tables.js';
import { INTERVAL_S, RECORDED_EVERY_S, scrapedSeries, vmsOf } from './hosts.js';
import { timeDashboard, timePanels } from './panels.js';
import type { FleetReport } from './report.js';
import { measureScraping, startScraping } from './scraping.js';
import { type Blocks, StoringPrometheus } from './storing-prometheus.js';

const startMs = performance.now();

function say(text: string): void {
  console.log(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

/** Prometheus writes blocks in the background. */
async function settledBlocks(prometheus: StoringPrometheus): Promise<Blocks> {
  for (let blocks = prometheus.blocks(); ; ) {
    await sleep(3000);
    const now = prometheus.blocks();
    if (now.samples > 0 && now.samples === blocks.samples) return now;
    blocks = now;
  }
}

async function measureDisk(tables: HostTables, folder: string, agents: number, hours: number): Promise<Blocks> {
  const prometheus = await StoringPrometheus.start(join(folder, 'disk'));
  const agent = Math.floor(agents / 2);
  const all = scrapedSeries(tables, agent, agents).map((series) => withHours(series, hours));
  await writeHours(prometheus, all);
  const blocks = await settledBlocks(prometheus);
  await endAll();
  return blocks;
}

async function measureFleet(tables: HostTables, folder: string, agents: number, hours: number) {
  const prometheus = await StoringPrometheus.start(join(folder, 'fleet'));
  const names = namesReadOverHours(hours);
  const series = longSeries(tables, agents, names);
  const samples = await writeHours(prometheus, series);
  say(`wrote ${samples} samples of ${series.length} series: ${[...names.keys()].join(', ')}`);
  await writeWarmUp(prometheus, tables, agents, names);
  say('wrote the last minutes of the other series');
  const historyDisk = await settledBlocks(prometheus);
  await startScraping(prometheus, tables, agents, folder);
  say('all agents are scraped');
  const { cost: scraping, groups } = await measureScraping(prometheus);
  say(JSON.stringify(scraping));
  for (const { group, rules, seconds } of groups)
    say(`${group}, ${rules} rules: ${seconds.map((each) => each.toFixed(2)).join(', ')} s`);
  const panels = await timePanels(prometheus.url, hours);
  for (const { panel, first, median } of panels) say(`${panel}: ${first.toFixed(2)} s, then ${median.toFixed(2)} s`);
  const dashboardSeconds = await timeDashboard(prometheus.url, hours);
  say(`all panels at the same time: ${dashboardSeconds.toFixed(2)} s`);
  for (const { name, seconds } of await prometheus.slowRules()) say(`${name}: ${seconds.toFixed(2)} s`);
  const residentBytesAfterQueries = (await prometheus.metrics()).sum('process_resident_memory_bytes');
  return { scraping, groups, panels, dashboardSeconds, residentBytesAfterQueries, historyDisk };
}

async function measure(agents: number, hours: number): Promise<FleetReport> {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
  try {
    const tables = await recordTables(folder);
    const { virtio, ide, agent } = tables.scraped;
    say(`recorded ${virtio.length} and ${ide.length} series of a VM, and ${agent.length} of an agent`);
    const disk = await measureDisk(tables, folder, agents, hours);
    say(`${(disk.bytes / disk.samples).toFixed(2)} bytes per sample`);
    const vms = Array.from({ length: agents }, (_, host) => vmsOf(tables, host, agents)).flat();
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: { cpus: availableParallelism(), memoryBytes: totalmem(), kernel: release() },
      prometheus: PROMETHEUS_VERSION,
      ...{ agents, hours, intervalSeconds: INTERVAL_S, recordedEverySeconds: RECORDED_EVERY_S },
      ...{ vms: vms.length, vcpus: vms.reduce((sum, { vcpus }) => sum + vcpus, 0), disk },
      ...(await measureFleet(tables, folder, agents, hours)),
    };
  } finally {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

const [agents = '200', hours = '24', file] = process.argv.slice(2);
const report = await measure(Number(agents), Number(hours));
if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
