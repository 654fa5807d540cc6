/**
 * Time and memory of a scrape of 100,000 series: `node build/test/bench/scrape-cost.js`. Needs no guests and no rights.
 *
 * Compares this program's two text formats with prom-client's, and measures 50 scrapes at the same time.
 */
import { Registry } from 'prom-client';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../src/expose/text-format.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import type { ExitCount } from '../../src/snapshot/tables/exit-rows.js';
import { ExpositionWriter } from '../../src/web/metrics/exposition-writer.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { median } from '../support/median.js';

const ROUNDS = 9;
const CONCURRENT_SCRAPES = 50;
const VMS = 625;

/** A snapshot with 100,000 series of kvm_exits_total: 625 VMs with 8 vCPUs and 20 reasons each. */
function manyExits(): Snapshot {
  const exits: ExitCount[] = [];
  for (let vm = 0; vm < VMS; vm++)
    for (let vcpu = 0; vcpu < 8; vcpu++)
      for (let reason = 0; reason < 20; reason++)
        exits.push({
          vm: `instance-${String(vm).padStart(8, '0')}`,
          vcpu: String(vcpu),
          layer: reason < 12 ? 'kvm' : 'qemu',
          reason: `EXIT_REASON_${reason}`,
          count: vm * 1000 + reason,
        });
  return { ...emptySnapshot(), exits };
}

const snapshot = manyExits();
const view = new PrometheusView({ takeSnapshot: () => snapshot, version: 'bench' });

/** Writes the text piece by piece. Returns its length. */
async function writeText(format: TextFormat): Promise<number> {
  let length = 0;
  for await (const piece of view.pieces(format)) length += piece.length;
  return length;
}

/** The same metrics in prom-client, in the fastest way that it offers: objects with a method `get`. */
function promClientRegistry(): Registry {
  const registry = new Registry();
  for (const metric of CATALOGUE) {
    if (metric.type === 'histogram') continue;
    const { name, help, type, labels, read } = metric;
    const values = () =>
      Array.from(read(snapshot), ([own, value]) => ({
        labels: Object.fromEntries(labels.map((label, index) => [label, own[index] ?? ''])),
        value,
      }));
    const get = () => ({ name, help, type, aggregator: 'sum', values: values() });
    registry.registerMetric({ name, help, type, get } as unknown as Parameters<Registry['registerMetric']>[0]);
  }
  return registry;
}

/** Prints the median time of `work`, and the length of the text that it returns. */
async function measure(name: string, work: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  let length = 0;
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.();
    const startMs = performance.now();
    length = await work();
    times.push(performance.now() - startMs);
  }
  console.log(`  ${name.padEnd(34)} ${median(times).toFixed(0).padStart(5)} ms  ${(length / 1e6).toFixed(1)} MB`);
}

/** Scrapes by many Prometheus servers at the same time. Returns the length of the longest answer. */
async function scrapeConcurrently(format: TextFormat, gzip: boolean): Promise<number> {
  const writer = new ExpositionWriter(view);
  const answers = await Promise.all(
    Array.from({ length: CONCURRENT_SCRAPES }, async () => {
      const exposition = await writer.request(format);
      return gzip ? await exposition.gzipped() : exposition.plain;
    }),
  );
  return Math.max(...answers.map((pieces) => pieces.reduce((sum, { length }) => sum + length, 0)));
}

console.log('Time of a scrape of 100,000 series, and size of its text');
const registry = promClientRegistry();
const before = process.memoryUsage().rss;
await measure('text format 0.0.4', () => writeText(PROMETHEUS_TEXT));
await measure('OpenMetrics', () => writeText(OPENMETRICS));
await measure(`${CONCURRENT_SCRAPES} scrapes at the same time`, () => scrapeConcurrently(PROMETHEUS_TEXT, false));
await measure(`${CONCURRENT_SCRAPES} compressed scrapes`, () => scrapeConcurrently(PROMETHEUS_TEXT, true));
const grownBytes = process.memoryUsage().rss - before;
console.log(`  resident memory grew by ${(grownBytes / 1e6).toFixed(0)} MB meanwhile`);
await measure('text format 0.0.4 by prom-client', async () => (await registry.metrics()).length);
