/** What an agent shows of itself over OTLP, and of its exports: answers, batches, exports that take too long. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESS_METRICS } from '../../../src/expose/otlp/agent-metrics.js';
import { ExportCounts } from '../../../src/expose/otlp/export-counts.js';
import { ExportLoop } from '../../../src/expose/otlp/export-loop.js';
import { startOtlpExport } from '../../../src/expose/otlp/otlp-export.js';
import { markAcknowledged, SnapshotProducer } from '../../../src/expose/otlp/snapshot-producer.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import { emptySnapshot } from '../../support/agent/empty-snapshot.js';
import { ask, WebAgent } from '../../support/agent/web-agent.js';
import { endAll } from '../../support/end-later.js';
import { HANG_MS } from '../../support/patience.js';
import { parseMetrics } from '../../support/prometheus/metrics-text.js';
import {
  type Answer,
  metricOf,
  pointOf,
  type Receiver,
  startReceiver,
} from '../../support/prometheus/otlp-receiver.js';

afterEach(endAll);

function demoTo({ port }: Receiver, ...args: string[]): Promise<WebAgent> {
  return WebAgent.start(`--otlp.endpoint=http://127.0.0.1:${port}`, ...args);
}

/** Samples of /metrics: values by labels, which are joined by commas. */
async function shown({ url }: WebAgent, name: string): Promise<Record<string, number>> {
  const answer = await ask(`${url}/metrics`);
  assert.ok(typeof answer !== 'string', String(answer));
  const samples = parseMetrics(answer.body.toString()).get(name)?.samples ?? [];
  return Object.fromEntries(samples.map(({ labels, value }) => [[...labels.values()].join(), value]));
}

/** utime and stime in /proc/PID/stat: proc(5). */
function kernelCpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Waits until the value that `ask` returns is what the test waits for. */
async function until<Value>(
  what: string,
  ask: () => Promise<Value>,
  isFound: (value: Value) => boolean,
): Promise<Value> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const value = await ask();
    if (isFound(value)) return value;
    assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(value)}`);
    await sleep(50);
  }
}

describe("the agent's own process over OTLP", () => {
  it('is that of /metrics, in the semantic conventions', async () => {
    const receiver = await startReceiver();
    const agent = await demoTo(receiver, '--otlp.interval=300ms');
    await receiver.atLeast(2);
    const before = receiver.requests.at(-1);
    const cpu = kernelCpuSeconds(agent.process.pid);
    const memory = (await shown(agent, 'process_resident_memory_bytes'))[''] ?? Number.NaN;
    const [build] = Object.keys(await shown(agent, 'kvm_exit_exporter_build_info'));
    await receiver.atLeast(receiver.requests.length + 2);
    const after = receiver.requests.at(-1);
    const cpuOf = (request: typeof after) =>
      ['user', 'system'].reduce(
        (sum, mode) => sum + (pointOf(request, 'process.cpu.time', { 'cpu.mode': mode })?.value ?? Number.NaN),
        0,
      );
    // The kernel's ticks are 10 ms, rounded down twice.
    assert.ok(cpuOf(before) <= cpu + 0.02 && cpu <= cpuOf(after), `${cpuOf(before)} ${cpu} ${cpuOf(after)}`);
    const sent = pointOf(after, 'process.memory.usage')?.value ?? Number.NaN;
    assert.ok(sent > memory / 3 && sent < memory * 3, `${sent} ${memory}`);
    const { version, node } = pointOf(after, 'kvm_exit_exporter.build_info')?.attributes ?? {};
    assert.equal(`${version},${node}`, build);
    assert.equal(node, process.version);
    for (const { otel } of PROCESS_METRICS)
      assert.ok((metricOf(after, otel.name)?.points.length ?? 0) > 0, `${otel.name} is missing`);
  });

  it('is left out with --web.disable-exporter-metrics, but for the build', async () => {
    const receiver = await startReceiver();
    await demoTo(receiver, '--otlp.interval=300ms', '--web.disable-exporter-metrics');
    await receiver.atLeast(1);
    const [request] = receiver.requests;
    assert.equal(pointOf(request, 'kvm_exit_exporter.build_info')?.value, 1);
    for (const { otel } of PROCESS_METRICS) assert.equal(metricOf(request, otel.name), undefined, otel.name);
  });
});

describe('a failed export', () => {
  for (const status of [429, 503, 404])
    it(`is logged and counted with its status: ${status}`, async () => {
      let answers = 0;
      const receiver = await startReceiver({ status: () => (answers++ < 2 ? status : 200) });
      const agent = await demoTo(receiver, '--otlp.interval=2s');
      await agent.until('msg="OTLP export works again"');
      assert.match(agent.log, new RegExp(`msg="OTLP export failed".*HTTP ${status}`));
      assert.doesNotMatch(agent.log, /undefined/);
      const requests = await shown(agent, 'kvm_exit_exporter_otlp_requests_total');
      const refused = requests[String(status)] ?? 0;
      assert.ok(refused >= 1 && refused <= 2, JSON.stringify(requests));
      assert.ok((requests['200'] ?? 0) >= 1);
      const exports = await until(
        'one complete export',
        () => shown(agent, 'kvm_exit_exporter_otlp_exports_total'),
        ({ complete = 0 }) => complete > 0,
      );
      // The exporter may have sent a request again within one export.
      assert.ok((exports.incomplete ?? 0) >= 1);
      assert.ok(((await shown(agent, 'kvm_exit_exporter_otlp_export_seconds_total'))[''] ?? 0) > 0);
      const points = receiver.requests[0]?.metrics.reduce((sum, { points: own }) => sum + own.length, 0) ?? 0;
      const series = (await shown(agent, 'kvm_exit_exporter_otlp_series'))[''] ?? 0;
      assert.ok(series > 100 && series >= points, `${series} ${points}`);
    });

  it('is counted as unreachable without a connection, and as a time-out without an answer', async () => {
    const statuses: Answer[] = [undefined, 'reset'];
    const receiver = await startReceiver({ status: () => (statuses.length > 0 ? statuses.shift() : 200) });
    const agent = await demoTo(receiver, '--otlp.interval=300ms');
    const requests = await until(
      'an accepted request',
      () => shown(agent, 'kvm_exit_exporter_otlp_requests_total'),
      (found) => (found['200'] ?? 0) > 0,
    );
    // A busy machine may be late with more answers.
    assert.ok((requests.timeout ?? 0) >= 1 && (requests.unreachable ?? 0) >= 1, JSON.stringify(requests));
  });
});

/** Exits of many VMs. */
function snapshotOf(vms: number, count: number): Snapshot {
  return {
    ...emptySnapshot(),
    exits: Array.from({ length: vms }, (_, vm) => ({
      ...({ vm: `vm-${vm}`, vcpu: '0', layer: 'kvm', reason: 'io' } as const),
      count,
    })),
  };
}

describe('an export in batches', () => {
  const delta = { sums: true, histograms: true };

  it('has every series once, and no batch has more than 2,000', async () => {
    const producer = new SnapshotProducer({ snapshots: { take: () => snapshotOf(12_345, 7) }, delta });
    const sizes: number[] = [];
    const seen = new Set<unknown>();
    for (const batch of await producer.batches()) {
      sizes.push(batch.reduce((sum, { dataPoints }) => sum + dataPoints.length, 0));
      for (const { descriptor, dataPoints } of batch)
        if (descriptor.name === 'kvm.exits') for (const { attributes } of dataPoints) seen.add(attributes.vm);
    }
    assert.equal(seen.size, 12_345);
    assert.ok(Math.max(...sizes) <= 2000, sizes.join());
    assert.ok(sizes.length >= 3, sizes.join());
  });

  it('lets other work go first between the snapshot and the first batch', async () => {
    const order: string[] = [];
    const snapshots = {
      take() {
        order.push('snapshot');
        setTimeout(() => order.push('other work'), 0);
        return snapshotOf(1, 1);
      },
    };
    const send = async () => {
      order.push('batch');
      return 'accepted' as const;
    };
    const producer = new SnapshotProducer({ snapshots, delta });
    await new ExportLoop({ producer, send, intervalMs: HANG_MS, counts: new ExportCounts() }).stop();
    assert.deepEqual(order, ['snapshot', 'other work', 'batch']);
  });

  it('that ended early goes on without loss and without counting twice', async () => {
    let count = 10;
    const producer = new SnapshotProducer({ snapshots: { take: () => snapshotOf(12_000, count) }, delta });
    const received = new Map<unknown, number>();
    const take = async (batches: number) => {
      for (const batch of await producer.batches()) {
        if (batches-- === 0) return;
        for (const { descriptor, dataPoints } of batch)
          if (descriptor.name === 'kvm.exits')
            for (const { attributes, value } of dataPoints)
              received.set(attributes.vm, (received.get(attributes.vm) ?? 0) + Number(value));
        markAcknowledged(batch);
      }
    };
    await take(1);
    count = 14;
    await take(2);
    count = 20;
    await take(99);
    count = 23;
    await take(99);
    assert.equal(received.size, 12_000);
    assert.deepEqual(new Set(received.values()), new Set([23]));
  });
});

it('an export that takes longer than its interval is logged, and no two exports overlap', async (t) => {
  const lines: string[] = [];
  t.mock.method(process.stderr, 'write', (line: string) => lines.push(line));
  let open = 0;
  let most = 0;
  const receiver = await startReceiver({
    async status() {
      most = Math.max(most, ++open);
      await sleep(400);
      open--;
      return 200;
    },
  });
  let taken = 0;
  const otlp = startOtlpExport(
    { take: () => snapshotOf(12_000, ++taken) },
    { version: '1', port: '', containerId: '', kubernetes: {} },
    {
      url: `http://127.0.0.1:${receiver.port}/v1/metrics`,
      intervalMs: 1000,
      timeoutMs: 10_000,
      delta: { sums: false, histograms: false },
    },
  );
  await receiver.atLeast(4);
  await otlp.stop();
  assert.equal(most, 1);
  assert.match(lines.join('\n'), /an OTLP export takes longer than its interval/);
});
