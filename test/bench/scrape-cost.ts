/**
 * What a scrape of 100,000 series costs: npm run bench. Three ways of writing the same text, and fifty scrapers at once.
 *
 * Time is of one thread; memory is what was added to the resident set at most, looked at after each piece.
 */
import { Registry } from 'prom-client';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../src/expose/text-format.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import type { ExitCount, Snapshot } from '../../src/snapshot/snapshot.js';
import { ExpositionWriter } from '../../src/web/metrics/exposition-writer.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';

const ROUNDS = 9;
const SCRAPERS = 50;
const VMS = 625;

/** 625 VMs of 8 vCPUs with 20 reasons each: 100,000 series of kvm_exits_total. */
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

async function own(format: TextFormat): Promise<number> {
  let length = 0;
  for await (const piece of view.pieces(format)) length += piece.length;
  return length;
}

/** As prom-client would do it best: objects that answer get(). */
function promClient(): Registry {
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

async function measure(what: string, work: () => Promise<number>): Promise<void> {
  const times: number[] = [];
  let length = 0;
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.();
    const startMs = performance.now();
    length = await work();
    times.push(performance.now() - startMs);
  }
  const median = times.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  console.log(`${what.padEnd(34)} ${median.toFixed(0).padStart(5)} ms  ${(length / 1e6).toFixed(1)} MB`);
}

/** All at once, as from a herd of Prometheus servers; each must get it whole. */
async function herd(format: TextFormat, gzip: boolean): Promise<number> {
  const writer = new ExpositionWriter(view);
  const answers = await Promise.all(
    Array.from({ length: SCRAPERS }, async () => {
      const exposition = await writer.request(format);
      return gzip ? await exposition.gzipped() : exposition.plain;
    }),
  );
  return Math.max(...answers.map((pieces) => pieces.reduce((sum, { length }) => sum + length, 0)));
}

const registry = promClient();
const before = process.memoryUsage().rss;
await measure('0.0.4, ours', () => own(PROMETHEUS_TEXT));
await measure('OpenMetrics, ours', () => own(OPENMETRICS));
await measure(`${SCRAPERS} scrapes at once`, () => herd(PROMETHEUS_TEXT, false));
await measure(`${SCRAPERS} scrapes at once, gzip`, () => herd(PROMETHEUS_TEXT, true));
console.log(`resident set: ${((process.memoryUsage().rss - before) / 1e6).toFixed(0)} MB more`);
await measure('0.0.4, prom-client', async () => (await registry.metrics()).length);
