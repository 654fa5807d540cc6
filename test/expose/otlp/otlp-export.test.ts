/** Compares what an OTLP receiver gets, read by otlp-decoder.ts, with what /metrics shows of the same snapshot. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ALL_COLLECTORS, Ledger } from '../../../src/count/ledger.js';
import type { ThreadOwner } from '../../../src/count/thread-owners.js';
import { agentMetrics } from '../../../src/expose/otlp/agent-metrics.js';
import { ExportCounts } from '../../../src/expose/otlp/export-counts.js';
import type { OtlpOptions } from '../../../src/expose/otlp/otlp-export.js';
import { PrometheusView } from '../../../src/expose/prometheus.js';
import { CATALOGUE } from '../../../src/snapshot/catalogue.js';
import { SeriesLimiter } from '../../../src/snapshot/series-limiter.js';
import type { Snapshot } from '../../../src/snapshot/snapshot.js';
import type { VmInfo } from '../../../src/snapshot/tables/vms.js';
import { takeSnapshot } from '../../../src/snapshot/take-snapshot.js';
import { HISTOGRAM_LENGTH, type StatisticsReading } from '../../../src/trace/kvm-statistic.js';
import { CPUID_LEAF, GHCB_EXIT, KVM_HYPERCALL, MSR_READ, NESTED_EXIT, PAGE_FAULT } from '../../../src/trace/sink.js';
import { vmInfo } from '../../support/agent/vm-info.js';
import { endAll } from '../../support/end-later.js';
import { HANG_MS } from '../../support/patience.js';
import { type ExportByHand, startExportByHand } from '../../support/prometheus/export-by-hand.js';
import { parseMetrics } from '../../support/prometheus/metrics-text.js';
import {
  type Answer,
  asPrometheus,
  increaseIn,
  metricOf,
  pointOf,
  type Receiver,
  startReceiver,
} from '../../support/prometheus/otlp-receiver.js';

afterEach(endAll);

const CUMULATIVE = { sums: false, histograms: false };
const DELTA = { sums: true, histograms: true };
const OWN = agentMetrics('1.2.3', true);
/** Less than the exporter waits before it sends a request again. */
const SOON_MS = 700;

function exportTo(
  receiver: Receiver,
  takeSnapshot: () => Snapshot,
  options: Partial<OtlpOptions> = {},
  counts?: ExportCounts,
): ExportByHand {
  const url = `http://127.0.0.1:${receiver.port}/v1/metrics`;
  return startExportByHand(takeSnapshot, { url, timeoutMs: HANG_MS, delta: CUMULATIVE, ...options }, counts);
}

async function exportOnce(receiver: Receiver, snapshot: Snapshot, options?: Partial<OtlpOptions>): Promise<void> {
  const counts = new ExportCounts();
  await exportTo(receiver, () => snapshot, options, counts).stop();
  assert.deepEqual(counts.use.exports, { complete: 1, incomplete: 0 });
}

function busySnapshot(vms: number): Snapshot {
  const infos = Array.from({ length: vms }, (_, vm) =>
    vmInfo({ vm: `vm-${vm}`, uuid: `uuid-${vm}`, pid: String(100 * vm), vcpus: 2, startSeconds: 1.7e9 + vm }),
  );
  const audit = infos.map(({ vm }) => ({
    vm,
    check: 'exits',
    outcome: 'compared' as const,
    ratio: 0.99,
    uncertainty: 0.001,
    obstacle: '',
  }));
  const advice = infos.map(({ vm }) => ({ vm, advice: 'hpet', severity: 'warning' as const, cost: 0.25 }));
  const otlp = {
    exports: { complete: 4, incomplete: 1 },
    seconds: 2.5,
    series: 3000,
    requests: [{ status: '503', count: 2 }],
  };
  const samplingErrors = infos.map(({ vm }) => ({ vm, reason: 'io', count: 5, low: 2, high: 7 }));
  const focusedVms = infos.map(({ vm }) => ({ vm, focused: 1 }));
  const sampled = { sampledFraction: 0.05, samplingErrors, focusedVms };
  return { ...takeSnapshot(busyLedger(vms).totals(), infos, audit), ...sampled, advice, otlp };
}

const WAITS = Array.from({ length: HISTOGRAM_LENGTH }, (_, index) => index);
const STATISTICS: StatisticsReading = {
  door: 'qmp',
  parts: [
    {
      key: 'vcpu 0',
      vcpu: '0',
      values: [
        [{ name: 'exits', kind: 'total', isTime: false, length: 1 }, 5],
        [{ name: 'halt_wait_ns', kind: 'total', isTime: true, length: 1 }, 0.25],
        [{ name: 'halt_wait_hist', kind: 'histogram', isTime: true, length: HISTOGRAM_LENGTH }, WAITS],
        [{ name: 'blocking', kind: 'current', isTime: false, length: 1 }, 1],
      ],
    },
  ],
};

/** A ledger with a VM for every hundred threads, and a count in every metric. */
function busyLedger(vms: number): Ledger {
  const identities = Array.from({ length: vms }, (_, vm) => ({ label: `vm-${vm}` }));
  const ownerOf = (tid: number): ThreadOwner => ({
    vm: identities[Math.floor(tid / 100) - 1],
    vcpu: tid % 100 === 99 ? '' : String(tid % 100),
  });
  const ledger = new Ledger({ ownerOf }, { collectors: ALL_COLLECTORS });
  const { reasons, tracepoints, qemuEvents } = ledger.vocabulary;
  const kernel = ledger.kernelSource('tracefs');
  const [io, hlt, userspace] = [reasons.id('io'), reasons.id('hlt'), reasons.id('KVM_EXIT_IO')];
  const log = ledger.qemu.add('log', { labelOf: () => 'vm-0' });
  log.qemuEvent(1, 1, qemuEvents.id('kvm_run_exit'));
  kernel.lost(1, 17);
  kernel.lost(0, -1);
  kernel.malformed('record');
  let timeNs = 1000;
  for (let vm = 0; vm < vms; vm++) {
    for (const vcpu of [0, 1]) {
      const tid = 100 * (vm + 1) + vcpu;
      for (let i = 0; i <= vcpu + 1; i++) {
        kernel.tracepoint(timeNs, 0, tid, tracepoints.id('kvm_exit'));
        kernel.vmExit(timeNs, 0, tid, vcpu, io, 0);
        kernel.portIo(timeNs, 0, tid, true, 0x3f8, 1);
        kernel.userspaceExit(timeNs + 700, 0, tid, userspace);
        kernel.vmEntry(timeNs + 5000 * (i + 1), 0, tid, vcpu);
        kernel.vmExit(timeNs + 50_000, 0, tid, vcpu, hlt, 0);
        kernel.vmEntry(timeNs + 4_000_000_000 * i + 60_000, 0, tid, vcpu);
        timeNs += 100_000;
      }
    }
    kernel.interrupt(timeNs, 0, 100 * (vm + 1) + 99);
    for (const kind of [MSR_READ, CPUID_LEAF, KVM_HYPERCALL, PAGE_FAULT] as const)
      kernel.index(timeNs, 0, 100 * (vm + 1), kind, 1);
    for (const kind of [NESTED_EXIT, GHCB_EXIT] as const) kernel.index(timeNs, 0, 100 * (vm + 1), kind, hlt);
    kernel.apicvInhibit(timeNs, 0, 100 * (vm + 1), reasons.id('IRQWIN'), true);
    ledger.statistics.add(`vm-${vm}`, 'life', STATISTICS);
  }
  return ledger;
}

async function shownBy(takeSnapshot: () => Snapshot): Promise<Map<string, number>> {
  const families = parseMetrics(await new PrometheusView({ takeSnapshot, version: '0', process: false }).render());
  const shown = new Map<string, number>();
  for (const { name } of CATALOGUE)
    for (const { name: series, labels, value } of families.get(name)?.samples ?? [])
      shown.set(JSON.stringify([series, [...labels].map(plainEdge).sort(([a], [b]) => (a < b ? -1 : 1))]), value);
  return shown;
}

/** Normalizes bucket edges: 0.0000005, 5e-7 and 5e-07 are the same. */
function plainEdge([label, value]: [string, string]): [string, string] {
  return label === 'le' && value !== '+Inf' ? [label, String(Number(value))] : [label, value];
}

/** The series that have arrived, without those of the agent's own process. */
function catalogued({ requests }: Receiver): Map<string, number> {
  const names = new Set(OWN.map(({ otel }) => otel.name));
  return asPrometheus(
    requests.map((request) => ({ ...request, metrics: request.metrics.filter(({ name }) => !names.has(name)) })),
  );
}

function sorted(series: ReadonlyMap<string, number>): string[] {
  return Array.from(series, ([key, value]) => `${key} ${value}`).sort();
}

describe('the receiver gets what /metrics shows', () => {
  it('for every metric of the catalogue', async () => {
    const receiver = await startReceiver();
    const limiter = new SeriesLimiter();
    const snapshot = limiter.apply(busySnapshot(3));
    await exportOnce(receiver, snapshot);
    assert.deepEqual(sorted(catalogued(receiver)), sorted(await shownBy(() => snapshot)));
    const [request] = receiver.requests;
    assert.deepEqual(
      request?.metrics.map(({ name }) => name),
      [...CATALOGUE, ...OWN].map(({ otel }) => otel.name),
      'every metric',
    );
    for (const { name, type, help, otel } of CATALOGUE) {
      const found = metricOf(request, otel.name);
      const kind = { counter: 'sum', gauge: 'gauge', histogram: 'histogram' }[type];
      const temporality = type === 'gauge' ? 0 : 2;
      assert.deepEqual(
        [found?.kind, found?.unit, found?.description, found?.temporality, found?.monotonic],
        [kind, otel.unit, help, temporality, type === 'counter'],
        name,
      );
    }
    assert.deepEqual(request?.scope, { name: 'kvm-exit-exporter', version: '1.2.3' });
  });

  it('under the names of /metrics, if the option asks for them', async () => {
    const receiver = await startReceiver();
    const snapshot = new SeriesLimiter().apply(busySnapshot(3));
    await exportOnce(receiver, snapshot, { names: 'prometheus' });
    const text = await new PrometheusView({ takeSnapshot: () => snapshot, version: '1.2.3' }).render();
    const families = [...parseMetrics(text)].filter(([, { samples }]) => samples.length > 0).map(([name]) => name);
    const sent = receiver.requests.flatMap(({ metrics }) => metrics);
    assert.deepEqual(
      CATALOGUE.map(({ name }) => name).filter((name) => !sent.some((metric) => metric.name === name)),
      [],
    );
    for (const { name, points } of sent) {
      assert.ok(families.includes(name) || OWN.some((metric) => metric.name === name), name);
      for (const { attributes } of points) assert.match(Object.keys(attributes).join(), /^[a-z_,]*$/, name);
    }
  });

  it('for more than 10,000 series, without an overflow series', async () => {
    const receiver = await startReceiver();
    const snapshot = busySnapshot(700);
    await exportOnce(receiver, snapshot);
    const arrived = catalogued(receiver);
    const shown = await shownBy(() => snapshot);
    assert.deepEqual(sorted(arrived), sorted(shown));
    const points = receiver.requests
      .flatMap(({ metrics }) => metrics)
      .reduce((sum, { points: own }) => sum + own.length, 0);
    assert.ok(points > 10_000, `${points} points`);
    assert.ok(![...arrived.keys()].some((key) => key.includes('otel.metric.overflow')));
  });

  it('in several requests if there are many points', async () => {
    const receiver = await startReceiver();
    const snapshot = busySnapshot(1000);
    await exportOnce(receiver, snapshot);
    assert.ok(receiver.requests.length > 1, `${receiver.requests.length} requests`);
    assert.ok(receiver.requests.every(({ bytes }) => bytes < 8 << 20));
    assert.deepEqual(catalogued(receiver).size, (await shownBy(() => snapshot)).size);
  });
});

/** A snapshot of one VM's exits and their durations. */
function snapshotOf(vms: Record<string, number>, info: Partial<VmInfo> = {}): Snapshot {
  const empty = busySnapshot(0);
  const names = Object.keys(vms);
  return {
    ...empty,
    sources: [],
    tracepoints: [],
    qemuEvents: [],
    vms: names.map((vm) => vmInfo({ vm, vcpus: 1, ...info })),
    exits: Object.entries(vms).map(([vm, count]) => ({ vm, vcpu: '0', layer: 'kvm', reason: 'io', count })),
    durations: Object.entries(vms).map(([vm, count]) => ({
      ...{ vm, layer: 'kvm', reason: 'io', count, sumSeconds: count / 4 },
      ...{ minSeconds: 0.25, maxSeconds: 0.25, p50Seconds: 0.25, p99Seconds: 0.25 },
      // Every duration is in the bucket up to 0.52 s.
      buckets: Array.from({ length: 12 }, (_, index) => (index < 10 ? 0 : count)),
      halfOctaves: [],
    })),
  };
}

/** Exports the snapshots one after the other, then stops. */
async function exportEach(
  snapshots: readonly Snapshot[],
  options: Partial<OtlpOptions> = {},
  status: () => Answer = () => 200,
): Promise<Receiver> {
  const receiver = await startReceiver({ status });
  let index = 0;
  const otlp = exportTo(receiver, () => snapshots[Math.min(index++, snapshots.length - 1)] as Snapshot, options);
  // An export that repeats what was not answered may take no snapshot.
  while (index < snapshots.length) await otlp.next();
  await otlp.stop();
  return receiver;
}

const exitsOf = (vm: string) => (request: Receiver['requests'][number]) => pointOf(request, 'kvm.exits', { vm });

describe('the start of a series', () => {
  it('is the time of the last collection without it, and does not change', async () => {
    const { requests } = await exportEach([
      snapshotOf({ a: 1 }),
      snapshotOf({ a: 5, b: 7 }),
      snapshotOf({ a: 6, b: 7 }),
    ]);
    const [a0, a1, a2] = requests.map(exitsOf('a'));
    const [b0, b1, b2] = requests.map(exitsOf('b'));
    assert.deepEqual([a1?.startNs, a2?.startNs], [a0?.startNs, a0?.startNs]);
    assert.ok((a0?.startNs ?? 0n) < (a0?.timeNs ?? 0n));
    assert.equal(b0, undefined);
    assert.equal(b1?.startNs, a0?.timeNs);
    assert.equal(b2?.startNs, b1?.startNs);
    assert.deepEqual([a0?.value, a1?.value, a2?.value, b2?.value], [1, 5, 6, 7]);
  });

  it('changes when its value falls', async () => {
    const { requests } = await exportEach([snapshotOf({ a: 100 }), snapshotOf({ a: 3 })]);
    const [before, after] = requests.map(exitsOf('a'));
    assert.equal(after?.startNs, before?.timeNs);
    assert.equal(pointOf(requests[1], 'kvm.exit.duration')?.startNs, before?.timeNs, 'of its histogram too');
  });

  it('changes when the series were dropped and began again, even if the value is higher', async () => {
    const { requests } = await exportEach([
      snapshotOf({ a: 100 }, { series: 1 }),
      snapshotOf({ a: 300 }, { series: 2 }),
    ]);
    const [before, after] = requests.map(exitsOf('a'));
    assert.equal(after?.startNs, before?.timeNs);
  });

  it('stays when the VM was restarted and its series continue', async () => {
    const { requests } = await exportEach([
      snapshotOf({ a: 100 }, { pid: '11' }),
      snapshotOf({ a: 300 }, { pid: '12' }),
    ]);
    const [before, after] = requests.map(exitsOf('a'));
    assert.equal(after?.startNs, before?.startNs);
  });

  it('is forgotten when the series ends', async () => {
    const { requests } = await exportEach([
      snapshotOf({ a: 1, b: 2 }),
      snapshotOf({ b: 2 }),
      snapshotOf({ a: 3, b: 2 }),
    ]);
    assert.deepEqual(
      requests
        .slice(0, 3)
        .map((request) => metricOf(request, 'kvm.exits')?.points.map(({ attributes }) => attributes.vm)),
      [['a', 'b'], ['b'], ['a', 'b']],
    );
    const [, gone, again] = requests;
    assert.equal(again && exitsOf('a')(again)?.startNs, gone && exitsOf('b')(gone)?.timeNs);
  });
});

describe('delta temporality', () => {
  it('sends the differences since the last export, and no series that did not change', async () => {
    const { requests } = await exportEach(
      [snapshotOf({ a: 10, b: 1 }), snapshotOf({ a: 14, b: 1 }), snapshotOf({ a: 3, b: 1 })],
      { delta: DELTA },
    );
    const [first, second, third] = requests;
    const seen = [first, second, third].map((request) => request && exitsOf('a')(request));
    assert.deepEqual(
      seen.map((point) => point?.value),
      [10, 4, 3],
    );
    assert.equal(seen[1]?.startNs, seen[0]?.timeNs);
    assert.equal(seen[2]?.startNs, seen[1]?.timeNs);
    assert.equal(second && exitsOf('b')(second), undefined);
    assert.equal(metricOf(first, 'kvm.exits')?.temporality, 1);
    assert.equal(metricOf(second, 'kvm.vm.vcpus')?.points.length, 2, 'gauges are always sent');
    const histogram = pointOf(second, 'kvm.exit.duration', { vm: 'a' });
    assert.deepEqual(
      [histogram?.count, histogram?.sum, histogram?.bucketCounts.at(10), histogram?.bucketCounts.at(9)],
      [4, 1, 4, 0],
    );
  });

  it('tells each series once, even at 0, and then only what changes', async () => {
    const { requests } = await exportEach([snapshotOf({ a: 0 }), snapshotOf({ a: 0 }), snapshotOf({ a: 2 })], {
      delta: DELTA,
    });
    assert.deepEqual(
      requests.slice(0, 3).map((request) => exitsOf('a')(request)?.value),
      [0, undefined, 2],
    );
  });

  it('sends counts again that the receiver refused', async () => {
    let answers = 0;
    const { requests } = await exportEach(
      [snapshotOf({ a: 10 }), snapshotOf({ a: 14 }), snapshotOf({ a: 20 })],
      { delta: DELTA },
      () => (answers++ === 1 ? 400 : 200),
    );
    const seen = requests.map(exitsOf('a')).filter((point) => point !== undefined);
    assert.deepEqual(
      seen.map(({ value }) => value),
      [10, 10],
    );
    assert.equal(seen[1]?.startNs, seen[0]?.timeNs, 'the period covers both exports');
  });

  for (const lost of ['silence', 'reset'] as const)
    it(`sends a difference again unchanged that the receiver has, but did not answer: ${lost}`, async () => {
      let answers = 0;
      const { requests } = await exportEach(
        [snapshotOf({ a: 10 }), snapshotOf({ a: 14 }), snapshotOf({ a: 20 })],
        { delta: DELTA, timeoutMs: SOON_MS },
        () => (answers++ === 1 ? lost : 200),
      );
      const seen = requests.map(exitsOf('a')).filter((point) => point !== undefined);
      assert.deepEqual(
        seen.map(({ value }) => value),
        [10, 4, 4, 6],
      );
      assert.deepEqual([seen[2]?.startNs, seen[2]?.timeNs], [seen[1]?.startNs, seen[1]?.timeNs]);
      assert.equal(seen[3]?.startNs, seen[2]?.timeNs);
      assert.equal(increaseIn(requests, 'kvm.exits', { vm: 'a' }), 20);
      const histograms = requests.flatMap((request) => pointOf(request, 'kvm.exit.duration', { vm: 'a' }) ?? []);
      assert.deepEqual(
        histograms.map(({ count, sum, timeNs }, index) => [count, sum, timeNs === seen[index]?.timeNs]),
        [
          [10, 2.5, true],
          [4, 1, true],
          [4, 1, true],
          [6, 1.5, true],
        ],
      );
    });

  it('sends no difference a third time that the receiver refuses when it comes again', async () => {
    const statuses: Answer[] = [200, 'silence', 400];
    const { requests } = await exportEach(
      [snapshotOf({ a: 10 }), snapshotOf({ a: 14 }), snapshotOf({ a: 20 }), snapshotOf({ a: 27 })],
      { delta: DELTA, timeoutMs: SOON_MS },
      () => (statuses.length > 0 ? statuses.shift() : 200),
    );
    assert.deepEqual(
      requests.flatMap((request) => exitsOf('a')(request)?.value ?? []),
      [10, 4, 13],
    );
  });

  it('applies to histograms only with lowmemory', async () => {
    const { requests } = await exportEach([snapshotOf({ a: 10 })], { delta: { sums: false, histograms: true } });
    assert.deepEqual(
      ['kvm.exits', 'kvm.exit.duration'].map((name) => metricOf(requests[0], name)?.temporality),
      [2, 1],
    );
  });
});

describe('a receiver that answers byte by byte, without end', () => {
  for (const [name, delta] of [
    ['totals', CUMULATIVE],
    ['differences', DELTA],
  ] as const)
    it(`does not keep later exports from being sent: ${name}`, async () => {
      let answers = 0;
      const { requests } = await exportEach(
        [snapshotOf({ a: 10 }), snapshotOf({ a: 14 }), snapshotOf({ a: 20 }), snapshotOf({ a: 27 })],
        { delta, timeoutMs: SOON_MS },
        () => (answers++ === 0 ? 'trickle' : 200),
      );
      const values = requests.flatMap((request) => exitsOf('a')(request)?.value ?? []);
      // The status of the answer says that the receiver has the request.
      if (delta.sums) assert.equal(increaseIn(requests, 'kvm.exits', { vm: 'a' }), 27, values.join());
      assert.ok(values.length >= 3, values.join());
    });
});

describe('the resource', () => {
  it('describes the host and this program', async () => {
    const { requests } = await exportEach([snapshotOf({ a: 1 })]);
    const { resource } = requests[0] ?? {};
    assert.equal(resource?.['service.name'], 'kvm-exit-exporter');
    assert.equal(resource?.['service.version'], '1.2.3');
    assert.equal(resource?.['service.instance.id'], `${resource?.['host.name']}:10586`);
    for (const name of ['host.name', 'host.arch', 'os.type', 'os.version', 'telemetry.sdk.version'])
      assert.ok((resource?.[name] ?? '') !== '', name);
    assert.match(requests[0]?.schemaUrl ?? '', /^https:\/\/opentelemetry\.io\/schemas\/1\.\d+\.0$/);
    assert.match(requests[0]?.headers['user-agent'] ?? '', /^kvm-exit-exporter\/1\.2\.3 OTel/);
  });

  it('is the same after a restart, so that Prometheus has one target_info', async () => {
    const { requests } = await exportEach([snapshotOf({ a: 1 })]);
    const names = Object.keys(requests[0]?.resource ?? {});
    assert.deepEqual(
      names.filter((name) => /^process\.(pid|parent_pid|creation)|^service\.instance\.id$/.test(name)),
      ['service.instance.id'],
    );
  });
});
