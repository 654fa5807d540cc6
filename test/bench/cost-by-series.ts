/**
 * Cost of many VMs on a host: `node build/test/bench/cost-by-series.js [FILE.json]`. Needs no guests and no rights.
 *
 * Synthetic ring-buffer pages of up to 1,000 VMs x 8 vCPUs x 20 exit reasons are decoded, counted, limited as by
 * default and written as text; then those of VMs whose exits also have durations. Each size is measured in a process of
 * its own.
 *
 *   CPU per event       decoding and counting; the threads take turns, which is the worst case for caches
 *   time of a scrape    from the snapshot to the last byte; the median of five
 *   resident memory     of the whole process, at the end and at its peak
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../src/expose/text-format.js';
import { DEFAULT_LIMITS, SeriesLimiter } from '../../src/snapshot/series-limiter.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { ExpositionWriter } from '../../src/web/metrics/exposition-writer.js';
import { median } from '../support/median.js';
import { describeMachine } from './tools/measure.js';
import { cursorOf, newLedger, pagesOf, REASONS, type Size, VCPUS, vmInfos } from './tools/synthetic-host.js';

const SIZES: readonly Size[] = [
  ...[6, 30, 125, 250, 500, 1000].map((vms) => ({ vms, durations: false })),
  // 390 VMs with durations just fit into the default limit of series. Of 1,000 VMs, the rest is summed as `other`.
  ...[10, 50, 100, 200, 390, 1000].map((vms) => ({ vms, durations: true })),
];
/** What an agent sets: src/commands/serving/limit-young-generation.ts, collect-garbage.ts. */
const V8_FLAGS = ['--max-semi-space-size=4', '--heap-growing-percent=50'];
const PASSES = 3;
const SCRAPES = 5;
interface Measurement extends Size {
  readonly series: number;
  readonly exitSeries: number;
  readonly nsPerEvent: number;
  readonly events: number;
  readonly textMs: number;
  readonly openMetricsMs: number;
  readonly textBytes: number;
  readonly residentBytes: number;
  readonly maxResidentBytes: number;
}

async function measure(size: Size): Promise<Measurement> {
  const { vms } = size;
  const infos = vmInfos(vms);
  const ledger = newLedger(infos);
  const counts = ledger.kernelSource('tracefs');
  const cursor = cursorOf(ledger, counts);
  let cpuUs = 0;
  for (let pass = 0; pass < PASSES; pass++)
    for (const page of pagesOf(size, pass)) {
      const before = process.cpuUsage();
      cursor.load(page);
      cursor.run(Number.POSITIVE_INFINITY);
      const { user, system } = process.cpuUsage(before);
      cpuUs += user + system;
      if (counts.threads.takeNew().length > 0) ledger.resolveOwners(0);
    }
  ledger.kernelCountsAll = true;
  const limiter = new SeriesLimiter(DEFAULT_LIMITS);
  const limitedSnapshot = () => limiter.apply(takeSnapshot(ledger.totals(), infos));
  const writer = new ExpositionWriter(new PrometheusView({ takeSnapshot: limitedSnapshot, version: 'bench' }));
  const text = await scrape(writer, PROMETHEUS_TEXT);
  const openMetrics = await scrape(writer, OPENMETRICS);
  const { series, exits } = limitedSnapshot();
  const expected = vms * VCPUS * REASONS;
  if (series?.limited.series === 0 && exits.length !== expected)
    throw new Error(`expected ${expected} series of kvm_exits_total, got ${exits.length}`);
  const events = [...exits].reduce((sum, { count }) => sum + count, 0);
  if (events !== expected * PASSES) throw new Error(`expected ${expected * PASSES} exits, counted ${events}`);
  return {
    ...size,
    series: series?.count ?? 0,
    exitSeries: exits.length,
    nsPerEvent: (cpuUs * 1000) / events,
    events,
    textMs: text.ms,
    openMetricsMs: openMetrics.ms,
    textBytes: text.bytes,
    residentBytes: process.memoryUsage().rss,
    maxResidentBytes: process.resourceUsage().maxRSS * 1024,
  };
}

async function scrape(writer: ExpositionWriter, format: TextFormat): Promise<{ ms: number; bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < SCRAPES; round++) {
    const startMs = performance.now();
    const exposition = await writer.request(format);
    times.push(performance.now() - startMs);
    bytes = exposition.plain.reduce((sum, { length }) => sum + length, 0);
    exposition.done();
  }
  return { ms: median(times), bytes };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

function measureAll(file: string | undefined): void {
  console.log('Cost of many VMs on a host: 8 vCPUs per VM, 20 exit reasons per vCPU');
  const sizes = SIZES.map((size): Measurement => {
    const measurement: Measurement = JSON.parse(
      execFileSync(process.execPath, [...V8_FLAGS, import.meta.filename, JSON.stringify(size)], { encoding: 'utf8' }),
    );
    console.log(`  ${describe(measurement)}`);
    return measurement;
  });
  const report = { date: new Date().toISOString().slice(0, 10), machine: describeMachine(), sizes };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

function describe(measurement: Measurement): string {
  const { vms, durations, series, exitSeries, nsPerEvent } = measurement;
  const { textMs, openMetricsMs, textBytes, residentBytes, maxResidentBytes } = measurement;
  return [
    `${vms} VMs ${durations ? 'with' : 'without'} durations: ${series} series, ${exitSeries} of them kvm_exits_total`,
    `${nsPerEvent.toFixed(0)} ns of CPU per event`,
    `scrape in ${textMs.toFixed(0)} ms (OpenMetrics ${openMetricsMs.toFixed(0)} ms), ${megabytes(textBytes)} of text`,
    `resident memory ${megabytes(residentBytes)}, at most ${megabytes(maxResidentBytes)}`,
  ].join('; ');
}

const [argument] = process.argv.slice(2);
if (argument?.startsWith('{') === true) console.log(JSON.stringify(await measure(JSON.parse(argument))));
else measureAll(argument);
