/** Limits on series. The expected sums are added up from the snapshots before they are limited. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Ledger } from '../../src/count/ledger.js';
import { PrometheusView } from '../../src/expose/prometheus.js';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { safeValue } from '../../src/snapshot/safe-labels.js';
import { SeriesLimiter } from '../../src/snapshot/series-limiter.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { ExitColumns, type ExitCount, ExitRows } from '../../src/snapshot/tables/exit-rows.js';
import type { Rows } from '../../src/snapshot/tables/row-table.js';
import { takeSnapshot } from '../../src/snapshot/take-snapshot.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { type MetricSample, parseMetrics } from '../support/prometheus/metrics-text.js';

const EMPTY = takeSnapshot(new Ledger({ ownerOf: () => ({ vm: undefined, vcpu: '' }) }).totals());

interface Guest {
  readonly vcpus: number;
  readonly reasons?: number;
  readonly count?: number;
}

/** A snapshot in which each VM has `count` exits per vCPU and reason, with their durations, causes, ports and times. */
function snapshotOf(guests: Record<string, Guest>): Snapshot {
  const each = <T>(rows: (vm: string, guest: Required<Guest>) => T[]): T[] =>
    Object.entries(guests).flatMap(([vm, guest]) => rows(vm, { reasons: 4, count: 10, ...guest }));
  return {
    ...EMPTY,
    vms: each((vm, { vcpus }) => [vmInfo({ vm, uuid: `u-${vm}`, pid: '1', vcpus })]),
    unpaired: each((vm, { count }) => [{ vm, layer: 'kvm', count }]),
    eventfds: each((vm, { count }) => [
      { vm, kind: 'ioeventfd', seenBy: 'kvm', device: '', count },
      ...names('disk', 3).map((device) => ({ vm, kind: 'ioeventfd', seenBy: 'qemu', device, count }) as const),
    ]),
    exits: each((vm, { vcpus, reasons, count }) =>
      names('', vcpus).flatMap((vcpu) =>
        names('r', reasons).map((reason): ExitCount => ({ vm, vcpu, layer: 'kvm', reason, count })),
      ),
    ),
    durations: each((vm, { reasons, count }) =>
      names('r', reasons).map((reason) => ({
        ...{ vm, layer: 'kvm', reason, count, sumSeconds: count / 4, minSeconds: 0.1, maxSeconds: 0.4 },
        ...{
          p50Seconds: 0.2,
          p99Seconds: 0.3,
          buckets: Array.from({ length: 12 }, (_, index) => (index < 10 ? 0 : count)),
          halfOctaves: [],
        },
      })),
    ),
    causes: each((vm, { reasons, count }) =>
      names('r', reasons).map((reason) => ({ vm, reason, userspaceReason: 'KVM_EXIT_IO', count })),
    ),
    io: each((vm, { count }) =>
      names('0x', 5).map((address) => ({
        vm,
        layer: 'qemu',
        bus: 'pio',
        direction: 'out',
        address,
        device: 'd',
        count,
      })),
    ),
    qemuEvents: each((vm, { count }) => names('event', 3).map((event) => ({ vm, event, count }))),
    vcpuTimes: each((vm, { vcpus, count }) =>
      names('', vcpus).map((vcpu) =>
        vcpuTimes({ vm, vcpu, kvmSeconds: count, qemuSeconds: 2 * count, idleSeconds: 4 * count }),
      ),
    ),
  };
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** The samples that Prometheus would read. The parser throws if a series occurs twice. */
async function shown(snapshot: Snapshot): Promise<MetricSample[]> {
  const families = parseMetrics(
    await new PrometheusView({ takeSnapshot: () => snapshot, version: '0', process: false }).render(),
  );
  return CATALOGUE.flatMap(({ name }) => families.get(name)?.samples ?? []);
}

/** Metric, layer and bucket -> sum of all their series. */
function totalsOf(samples: readonly MetricSample[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { name, labels, value } of samples) {
    if (!labels.has('vm') || name === 'kvm_vm_info') continue;
    const key = `${name} ${labels.get('layer') ?? ''} ${labels.get('le') ?? ''}`;
    sums[key] = (sums[key] ?? 0) + value;
  }
  return sums;
}

function keys(samples: readonly MetricSample[], vm: string): Set<string> {
  const own = samples.filter(({ labels }) => labels.get('vm') === vm);
  return new Set(own.map(({ name, labels }) => `${name} ${JSON.stringify([...labels])}`));
}

const LIMITS = { series: 100_000, seriesPerVm: 300, labelLength: 128 };

describe('below the limits', () => {
  it('everything is shown unchanged', async () => {
    const snapshot = snapshotOf({ a: { vcpus: 2 }, b: { vcpus: 4 } });
    const { series, ...limited } = new SeriesLimiter().apply(snapshot);
    assert.deepEqual(limited, snapshot);
    assert.deepEqual(series?.limited, { series: 0, series_per_vm: 0 });
  });

  it('kvm_exit_exporter_series is the number of lines', async () => {
    for (const vcpus of [1, 2, 200]) {
      const samples = await shown(new SeriesLimiter(LIMITS).apply(snapshotOf({ a: { vcpus }, b: { vcpus: 1 } })));
      const exposed = samples.find(({ name }) => name === 'kvm_exit_exporter_series');
      assert.equal(exposed?.value, samples.length, `${vcpus} vCPUs`);
    }
  });
});

describe('a VM with too many series', () => {
  const GUESTS = { big: { vcpus: 500, reasons: 5 }, small: { vcpus: 2 } };

  it('keeps to its limit, and no count is lost', async () => {
    const snapshot = snapshotOf(GUESTS);
    const samples = await shown(new SeriesLimiter(LIMITS).apply(snapshot));
    assert.ok(keys(samples, 'big').size <= LIMITS.seriesPerVm, String(keys(samples, 'big').size));
    assert.deepEqual(totalsOf(samples), totalsOf(await shown(snapshot)));
    assert.deepEqual(keys(samples, 'small'), keys(await shown(snapshot), 'small'), 'another VM is unchanged');
  });

  it('sums its vCPUs as vcpu="other", by reason', async () => {
    const samples = await shown(new SeriesLimiter(LIMITS).apply(snapshotOf(GUESTS)));
    const otherVcpus = samples.filter(
      ({ name, labels }) => name === 'kvm_exits_total' && labels.get('vm') === 'big' && labels.get('vcpu') === 'other',
    );
    const own = samples.filter(({ name, labels }) => name === 'kvm_exits_total' && labels.get('vm') === 'big').length;
    assert.deepEqual(otherVcpus.map(({ labels }) => labels.get('reason')).sort(), names('r', 5));
    const summed = 500 * 5 - (own - 5);
    assert.equal(
      otherVcpus.reduce((sum, { value }) => sum + value, 0),
      10 * summed,
    );
  });

  it('counts each series that was merged, once', () => {
    const limiter = new SeriesLimiter(LIMITS);
    const first = limiter.apply(snapshotOf(GUESTS)).series?.limited;
    assert.ok((first?.series_per_vm ?? 0) > 1000 && first?.series === 0);
    assert.deepEqual(limiter.apply(snapshotOf(GUESTS)).series?.limited, first);
    const more = limiter.apply(snapshotOf({ ...GUESTS, big: { vcpus: 510, reasons: 5 } })).series?.limited;
    // Ten more vCPUs, each with five reasons and three series of times.
    assert.equal((more?.series_per_vm ?? 0) - (first?.series_per_vm ?? 0), 10 * (5 + 3));
  });

  it('keeps the series that it had, whichever rows appear or disappear later', async () => {
    const limiter = new SeriesLimiter(LIMITS);
    const before = keys(await shown(limiter.apply(snapshotOf({ big: { vcpus: 20, reasons: 4 } }))), 'big');
    const grown = keys(await shown(limiter.apply(snapshotOf({ big: { vcpus: 500, reasons: 4 } }))), 'big');
    const lost = [...before].filter((key) => !grown.has(key));
    assert.deepEqual(lost, []);
    const again = keys(await shown(limiter.apply(snapshotOf({ big: { vcpus: 400, reasons: 4 } }))), 'big');
    assert.deepEqual(again, grown);
  });

  it('has sums that never decrease, even when there would be room again', async () => {
    const limiter = new SeriesLimiter(LIMITS);
    limiter.apply(snapshotOf({ big: { vcpus: 500, count: 10 } }));
    const before = limiter.apply(snapshotOf({ big: { vcpus: 500, count: 20 } }));
    const after = limiter.apply(snapshotOf({ big: { vcpus: 500, count: 30 } }));
    const countsOfOther = (snapshot: Snapshot) =>
      snapshot.exits.filter(({ vcpu }) => vcpu === 'other').map(({ count }) => count);
    assert.ok(countsOfOther(before).length > 0);
    for (const [index, count] of countsOfOther(after).entries()) assert.ok(count > (countsOfOther(before)[index] ?? 0));
  });

  it('merges a row that is called other with the sum of that name', async () => {
    const snapshot = snapshotOf({ big: { vcpus: 500, reasons: 40 } });
    const named = {
      ...snapshot,
      durations: [...snapshot.durations].map((row, index) => (index === 0 ? { ...row, reason: 'other' } : row)),
    };
    const samples = await shown(new SeriesLimiter(LIMITS).apply(named));
    assert.deepEqual(totalsOf(samples), totalsOf(await shown(named)));
  });
});

describe('too many series of all VMs together', () => {
  const many = (from: number, to: number, count = 10) =>
    Object.fromEntries(Array.from({ length: to - from }, (_, index) => [`vm-${from + index}`, { vcpus: 2, count }]));
  const FEW = { series: 3000, seriesPerVm: 2000, labelLength: 128 };

  it('are limited, and no count is lost', async () => {
    const snapshot = snapshotOf(many(0, 100));
    const samples = await shown(new SeriesLimiter(FEW).apply(snapshot));
    assert.ok(samples.length <= FEW.series && samples.length > FEW.series / 2, String(samples.length));
    assert.deepEqual(totalsOf(samples), totalsOf(await shown(snapshot)));
  });

  it('keep the series of known VMs and sum new VMs as vm="other"', async () => {
    const limiter = new SeriesLimiter(FEW);
    const before = await shown(limiter.apply(snapshotOf(many(0, 20))));
    const after = await shown(limiter.apply(snapshotOf({ ...many(20, 200), ...many(0, 20) })));
    for (let index = 0; index < 20; index++) assert.deepEqual(keys(after, `vm-${index}`), keys(before, `vm-${index}`));
    assert.ok(keys(after, 'other').size > 0);
    assert.ok(after.length <= FEW.series, String(after.length));
  });

  it('are summed so that no sum decreases when VMs disappear, return, or count from 0 again', () => {
    const limiter = new SeriesLimiter(FEW);
    const otherOf = (guests: Record<string, Guest>) =>
      limiter
        .apply(snapshotOf(guests))
        .exits.filter(({ vm }) => vm === 'other')
        .reduce((sum, { count }) => sum + count, 0);
    const first = otherOf(many(0, 100));
    const inAll = 100 * 2 * 4 * 10;
    assert.ok(first > 0 && first < inAll);
    const refused = first / (2 * 4 * 10);
    // The last ten VMs are summed. When they disappear, their counts stay.
    assert.equal(otherOf(many(0, 90)), first);
    // They return and count from 0.
    assert.equal(otherOf({ ...many(0, 90), ...many(90, 100, 1) }), first + 10 * 2 * 4);
    // All VMs count on, also those that returned.
    assert.equal(otherOf({ ...many(0, 90, 11), ...many(90, 100, 2) }), first + (refused - 10) * 2 * 4 + 10 * 2 * 4 * 2);
  });

  it('leave no label of a single VM on the series of vm="other"', async () => {
    const snapshot = snapshotOf(many(0, 100));
    const vms = snapshot.vms.map((info) => ({ ...info, namespace: 'team', pod: `pod-${info.vm}`, podUid: info.vm }));
    const samples = await shown(new SeriesLimiter(FEW).apply({ ...snapshot, vms }));
    const other = samples.find(({ name, labels }) => name === 'kvm_vm_info' && labels.get('vm') === 'other');
    const filled = [...(other?.labels ?? [])].filter(([, value]) => value !== '');
    assert.deepEqual(filled, [
      ['vm', 'other'],
      ['demo', 'false'],
    ]);
  });

  it('are kept apart from a VM that is really called other', async () => {
    const guests = { other: { vcpus: 2 }, ...many(0, 100) };
    const samples = await shown(new SeriesLimiter(FEW).apply(snapshotOf(guests)));
    assert.deepEqual(totalsOf(samples), totalsOf(await shown(snapshotOf(guests))));
  });

  it('make room for new VMs when VMs disappear', async () => {
    const limiter = new SeriesLimiter(FEW);
    limiter.apply(snapshotOf(many(0, 100)));
    const samples = await shown(limiter.apply(snapshotOf(many(100, 110))));
    assert.ok(keys(samples, 'vm-105').size > 10);
  });
});

/** Rows that count how often they are read as a whole. */
class CountedRows<Row> implements Rows<Row> {
  readonly #rows: readonly Row[];
  readonly #onRead: () => void;

  constructor(rows: readonly Row[], onRead: () => void) {
    this.#rows = rows;
    this.#onRead = onRead;
  }

  get length(): number {
    return this.#rows.length;
  }

  /** Labels are made safe by this, and limits are held against the result. */
  map<T>(toValue: (row: Row) => T): readonly T[] {
    return new CountedRows(this.#rows.map(toValue), this.#onRead) as unknown as readonly T[];
  }

  filter(keep: (row: Row) => boolean): readonly Row[] {
    this.#onRead();
    return this.#rows.filter(keep);
  }

  [Symbol.iterator](): Iterator<Row> {
    this.#onRead();
    return this.#rows[Symbol.iterator]();
  }
}

describe('the rows are read', () => {
  const guests = (vms: number, guest: Guest) => Object.fromEntries(names('vm-', vms).map((vm) => [vm, guest]));

  /** The number of times that exits are read when a limiter gets the last of the snapshots. */
  function readsOf(limiter: SeriesLimiter, snapshots: readonly Snapshot[]): number {
    let reads = 0;
    for (const snapshot of snapshots) {
      reads = 0;
      limiter.apply({ ...snapshot, exits: new CountedRows([...snapshot.exits], () => reads++) });
    }
    return reads;
  }

  it('as often for many large VMs as for one', () => {
    const [one, many] = [1, 40].map((vms) =>
      readsOf(new SeriesLimiter(LIMITS), [snapshotOf(guests(vms, { vcpus: 50, reasons: 3 }))]),
    );
    assert.equal(many, one);
  });

  it('as often when many VMs reach the limit at once as when one does', () => {
    const [one, many] = [1, 40].map((vms) => {
      const [before, after] = [5, 60].map((vcpus) => snapshotOf(guests(vms, { vcpus })));
      assert.ok(before !== undefined && after !== undefined);
      const seriesOf = (snapshot: Snapshot) => new SeriesLimiter().apply(snapshot).series?.count ?? 0;
      // There is room for some of the series that one VM gets.
      const series = seriesOf(before) + 200;
      assert.ok(seriesOf(after) > series);
      return readsOf(new SeriesLimiter({ series, seriesPerVm: 2000, labelLength: 128 }), [before, after]);
    });
    assert.equal(many, one);
  });
});

describe('rows in columns', () => {
  /** The same exits, kept as columns. */
  function inColumns(snapshot: Snapshot): Snapshot {
    const rows = [...snapshot.exits];
    const [columns, reasons] = [new ExitColumns(), [...new Set(rows.map(({ reason }) => reason))]];
    rows.forEach(({ layer, reason, count }, index) => {
      columns.add(index, layer, reasons.indexOf(reason), count);
    });
    return { ...snapshot, exits: new ExitRows(rows, reasons, columns) };
  }

  it('are limited as the same rows in an array', () => {
    const vm = fc.record({ vcpus: fc.nat({ max: 60 }), reasons: fc.nat({ max: 4 }), count: fc.nat({ max: 3 }) });
    const hosts = fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'other'), vm), { minLength: 1, maxLength: 5 });
    const limits = fc.record({
      series: fc.integer({ min: 100, max: 3000 }),
      seriesPerVm: fc.integer({ min: 100, max: 600 }),
      labelLength: fc.constant(128),
    });
    fc.assert(
      fc.property(hosts, limits, (snapshots, limit) => {
        const [limiter, other] = [new SeriesLimiter(limit), new SeriesLimiter(limit)];
        for (const host of snapshots) {
          const snapshot = snapshotOf(host);
          const [want, got] = [limiter.apply(snapshot), other.apply(inColumns(snapshot))];
          assert.deepEqual({ ...got, exits: [...got.exits] }, { ...want, exits: [...want.exits] });
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('label values', () => {
  const MARK = /~[0-9a-f]{8}$/;
  const cases: readonly (readonly [what: string, value: string, safe: RegExp | string])[] = [
    ['ordinary names', 'web-1', 'web-1'],
    ['letters of any script', 'Prüfung 机器 🖥', 'Prüfung 机器 🖥'],
    ['line breaks and escapes', 'a\nb\u001b[31m', /^a\ufffdb\ufffd\[31m~[0-9a-f]{8}$/],
    ['half a character', 'a\ud800b', /^a\ufffdb~[0-9a-f]{8}$/],
    ['text with a change of direction', 'abc\u202etxt', /^abc\ufffdtxt~[0-9a-f]{8}$/],
    ['a name of exactly the length', 'x'.repeat(128), 'x'.repeat(128)],
    ['a name that is too long', 'x'.repeat(129), /^x{119}~[0-9a-f]{8}$/],
    ['a cut in the middle of a character', `${'x'.repeat(118)}🖥${'y'.repeat(20)}`, /^x{118}~[0-9a-f]{8}$/],
  ];
  for (const [what, value, safe] of cases)
    it(what, () => {
      const made = safeValue(value, 128);
      if (typeof safe === 'string') assert.equal(made, safe);
      else assert.match(made, safe);
      assert.ok(made.length <= 128 && Buffer.from(made).toString() === made);
    });

  it('are made safe in every column of kvm_vm_info', async () => {
    const value = `${'x'.repeat(300)}\u001b[31m`;
    const [info] = snapshotOf({ [value]: { vcpus: 1 } }).vms;
    assert.ok(info !== undefined);
    const columns = Object.entries(info).map(([column, own]) => [column, typeof own === 'string' ? value : own]);
    const vms = [{ ...info, ...Object.fromEntries(columns) }];
    const samples = await shown(new SeriesLimiter().apply({ ...EMPTY, vms }));
    const [shownInfo] = samples.filter(({ name }) => name === 'kvm_vm_info');
    assert.ok((shownInfo?.labels.size ?? 0) >= 10);
    for (const [label, own] of shownInfo?.labels ?? []) assert.equal(own, safeValue(value, 128), label);
  });

  it('stay different if they differ only in characters that are replaced or cut', async () => {
    const long = 'x'.repeat(200);
    const snapshot = snapshotOf({
      'a\n': { vcpus: 1 },
      'a\t': { vcpus: 1 },
      [`${long}1`]: { vcpus: 1 },
      [`${long}2`]: { vcpus: 1 },
    });
    const samples = await shown(new SeriesLimiter().apply(snapshot));
    const vms = new Set(samples.map(({ labels }) => labels.get('vm')).filter((vm) => vm !== undefined));
    assert.equal(vms.size, 4);
    for (const vm of vms) assert.match(vm, MARK);
    assert.deepEqual(totalsOf(samples), totalsOf(await shown(snapshot)));
  });
});
