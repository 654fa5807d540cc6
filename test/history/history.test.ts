/** The history of VMs, from observations five seconds apart, and what it answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHistogram, recordDuration, summarize } from '../../src/count/counters/duration-histogram.js';
import { History } from '../../src/history/history.js';
import { FIXED_BYTES, MAX_BYTES_PER_VM } from '../../src/history/vm-history.js';
import { observationOf } from '../../src/rates/observation.js';
import { StatisticRates } from '../../src/rates/statistic-rates.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { overviewHistoryJson, vmHistoryJson } from '../../src/web/history-json.js';
import type { OverviewHistory, VmHistoryAnswer } from '../../src/web/page/history-answer.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';
import { vmInfo } from '../support/agent/vm-info.js';

const SOURCE = { source: 'tracefs', up: true, events: 1, drains: 1, drainSeconds: 1, lost: [], malformed: [] };

type Counts = Readonly<Record<string, number>>;

/** A snapshot in which a VM has so many exits to KVM, by reason. */
function snapshotOf(vms: Readonly<Record<string, Counts>>, more: Partial<Snapshot> = {}): Snapshot {
  const exits = Object.entries(vms).flatMap(([vm, counts]) =>
    Object.entries(counts).map(([reason, count]) => ({ vm, vcpu: '0', layer: 'kvm' as const, reason, count })),
  );
  const infos = Object.keys(vms).map((vm) => vmInfo({ vm, vcpus: 1 }));
  return { ...emptySnapshot(), exits, vms: infos, sources: [SOURCE], ...more };
}

/** Observes snapshots, one every five seconds. */
function historyOf(snapshots: Iterable<Snapshot>, history = new History()): History {
  const statistics = new StatisticRates();
  let atMs = 0;
  for (const snapshot of snapshots) {
    statistics.observe(snapshot);
    for (const _ of history.observe(observationOf(snapshot, atMs), statistics));
    atMs += 5000;
  }
  return history;
}

const answerOf = (history: History, vm: string) => JSON.parse(vmHistoryJson(history, vm)) as VmHistoryAnswer;
const named = (list: VmHistoryAnswer['exits']) => Object.fromEntries(list.map(({ name, values }) => [name, values]));

test('a step is what happened in five seconds', () => {
  const histogram = newHistogram();
  for (let i = 0; i < 100; i++) recordDuration(histogram, 10_000);
  const snapshots = [0, 1, 2].map((step) =>
    snapshotOf(
      { 'web-1': { npf: 500 * step, hlt: 100 * step } },
      {
        vcpuTimes: [vcpuTimes({ vm: 'web-1', vcpu: '0', guestSeconds: 4 * step, kvmSeconds: step })],
        io: [
          {
            vm: 'web-1',
            layer: 'qemu',
            bus: 'pio',
            direction: 'in',
            address: '0x1f7',
            device: 'ide1',
            count: 10 * step,
          },
          {
            vm: 'web-1',
            layer: 'qemu',
            bus: 'pio',
            direction: 'out',
            address: '0x1f6',
            device: 'ide1',
            count: 5 * step,
          },
          {
            vm: 'web-1',
            layer: 'kvm',
            bus: 'mmio',
            direction: 'out',
            address: '0xfee00000',
            device: '',
            count: 9 * step,
          },
        ],
        durations: [
          { vm: 'web-1', layer: 'kvm', reason: 'npf', ...summarize(step === 2 ? histogram : newHistogram()) },
        ],
      },
    ),
  );
  const answer = answerOf(historyOf(snapshots), 'web-1');
  assert.deepEqual(answer.seconds_ago, [5, 0]);
  // 600 exits in 5 s; nothing opened QEMU's side, but a source would show it.
  assert.deepEqual(named(answer.exits), { 'to KVM': [120, 120], 'to QEMU': [0, 0] });
  assert.deepEqual(named(answer.time_shares), { guest: [0.8, 0.8], KVM: [0.2, 0.2] });
  assert.deepEqual(named(answer.kvm_reasons), { npf: [100, 100], hlt: [20, 20] });
  assert.deepEqual(named(answer.devices), { ide1: [3, 3] });
  assert.deepEqual(named(answer.vcpus), { 'vCPU 0': [120, 120] });
  // All of them took 10 us; in the first step none ended.
  assert.deepEqual(named(answer.durations), { 'KVM p50': [null, 1e-5], 'KVM p99': [null, 1e-5] });
  assert.equal(answer.missing, null);
});

test('what was not known is null: before a VM was there, after it went, and while no source was open', () => {
  const closed = { sources: [{ ...SOURCE, up: false }] };
  const history = historyOf([
    snapshotOf({ a: { npf: 0 } }),
    snapshotOf({ a: { npf: 5 } }),
    snapshotOf({ a: { npf: 10 }, b: { npf: 50 } }),
    snapshotOf({ a: { npf: 10 }, b: { npf: 50 } }, closed),
    snapshotOf({ b: { npf: 50 } }),
  ]);
  assert.deepEqual(named(answerOf(history, 'a').exits)['to KVM'], [1, 1, null, null]);
  assert.deepEqual(named(answerOf(history, 'b').exits)['to KVM'], [null, 10, null, 0]);
  assert.deepEqual(named(answerOf(history, 'b').kvm_reasons).npf, [null, 10, null, 0]);
});

test('a counter that started again has no negative rate', () => {
  const history = historyOf([
    snapshotOf({ a: { npf: 100 } }),
    snapshotOf({ a: { npf: 5 } }),
    snapshotOf({ a: { npf: 10 } }),
  ]);
  assert.deepEqual(named(answerOf(history, 'a').exits)['to KVM'], [0, 1]);
});

test('the busiest reasons have series, and the rest is other: the sum stays exact', () => {
  const rates = (step: number): Counts => ({
    ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`r${i}`, (20 - i) * 5 * step])),
    // Busy from the third step on.
    late: Math.max(0, step - 2) * 5000,
  });
  const history = historyOf([0, 1, 2, 3, 4].map((step) => snapshotOf({ a: rates(step) })));
  const { kvm_reasons: reasons, exits } = answerOf(history, 'a');
  // 20 + 19 + ... + 1 per second, and 1,000 per second of the late one.
  assert.deepEqual(named(exits)['to KVM'], [210, 210, 1210, 1210]);
  assert.deepEqual(reasons[0], { name: 'late', values: [null, null, 1000, 1000] });
  assert.equal(reasons.length, 9);
  assert.deepEqual(reasons.map(({ name }) => name).slice(1), ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'other']);
  const sums = [0, 1, 2, 3].map((step) => reasons.reduce((sum, { values }) => sum + (values[step] ?? 0), 0));
  assert.deepEqual(sums, [210, 210, 1210, 1210]);
});

test('a reason that appears later did nothing before', () => {
  const history = historyOf([
    snapshotOf({ a: { npf: 0 } }),
    snapshotOf({ a: { npf: 5 } }),
    snapshotOf({ a: { npf: 10, hlt: 50 } }),
  ]);
  assert.deepEqual(named(answerOf(history, 'a').kvm_reasons), { hlt: [0, 10], npf: [1, 1] });
});

test('fifteen minutes are kept, and no more', () => {
  const history = historyOf(Array.from({ length: 500 }, (_, step) => snapshotOf({ a: { npf: 5 * step * step } })));
  const answer = answerOf(history, 'a');
  assert.equal(answer.seconds_ago[0], 895);
  assert.equal(answer.seconds_ago.length, 180);
  // Between steps n - 1 and n: n^2 - (n - 1)^2 per second.
  assert.equal(named(answer.exits)['to KVM']?.[0], 499 - 179 + 498 - 179);
  assert.equal(named(answer.exits)['to KVM']?.[179], 499 + 498);
});

test('memory is bounded: beyond the budget VMs have no history, and say so; VMs that went make room', () => {
  const names = (from: number, to: number) =>
    Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`vm-${from + i}`, { npf: 5 }]));
  const history = new History(10 * (FIXED_BYTES + MAX_BYTES_PER_VM));
  historyOf([snapshotOf(names(0, 1000)), snapshotOf(names(0, 1000))], history);
  assert.ok(history.vms.size >= 10 && history.vms.size < 100, `${history.vms.size}`);
  assert.ok(history.bytes <= 10 * (FIXED_BYTES + MAX_BYTES_PER_VM));
  assert.match(answerOf(history, 'vm-999').missing ?? '', /memory for histories is full/);
  assert.deepEqual(answerOf(history, 'vm-999').exits, []);
  // One that is gone makes room at once, and one that is there does not.
  const replaced = new History(2 * FIXED_BYTES);
  historyOf(
    [{}, names(0, 2), names(1, 2), names(1, 4)].map((vms) => snapshotOf(vms)),
    replaced,
  );
  assert.deepEqual([...replaced.vms.keys()], ['vm-1', 'vm-2']);
  const snapshots = Array.from({ length: 200 }, () => snapshotOf(names(999, 1000)));
  const later = new History(FIXED_BYTES);
  historyOf([snapshotOf(names(0, 1)), snapshotOf(names(0, 1)), ...snapshots], later);
  assert.deepEqual([...later.vms.keys()], ['vm-999']);
  assert.equal(later.bytes, FIXED_BYTES);
});

test('no VM takes more than the documented maximum', () => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`r${i}`, 5]));
  const io = Array.from({ length: 300 }, (_, i) => ({
    vm: 'a',
    layer: 'qemu' as const,
    bus: 'pio' as const,
    direction: 'in' as const,
    address: `0x${i.toString(16)}`,
    device: '',
    count: 5,
  }));
  const vcpus = Array.from({ length: 300 }, (_, i) => String(i));
  const exits = vcpus.flatMap((vcpu) =>
    (['kvm', 'qemu'] as const).flatMap((layer) =>
      Object.keys(many).map((reason) => ({ vm: 'a', vcpu, layer, reason, count: 5 })),
    ),
  );
  const history = historyOf([snapshotOf({ a: {} }), snapshotOf({ a: {} }, { exits, io })]);
  assert.equal(history.bytes, MAX_BYTES_PER_VM);
  assert.ok(MAX_BYTES_PER_VM < 34_000);
});

test('the overview has a point for every three steps', () => {
  const history = historyOf(Array.from({ length: 8 }, (_, step) => snapshotOf({ a: { npf: 5 * step * step } })));
  const { vms, seconds_ago } = JSON.parse(overviewHistoryJson(history)) as OverviewHistory;
  // 1, 3, 5 | 7, 9, 11 | 13 per second.
  assert.deepEqual(vms, [{ vm: 'a', kvm: [3, 9, 13], qemu: [0, 0, 0] }]);
  assert.deepEqual(seconds_ago, [20, 5, 0]);
});

test("without a trace, exits come from KVM's own statistics", () => {
  const at = (seconds: number): Snapshot => ({
    ...emptySnapshot(),
    vms: [vmInfo({ vm: 'a', vcpus: 1 })],
    statTotals: [{ vm: 'a', vcpu: '0', stat: 'exits', value: 300 * seconds, readMs: 1000 * seconds }],
  });
  const history = historyOf([at(0), at(5), at(10)]);
  assert.deepEqual(named(answerOf(history, 'a').exits), { 'to KVM': [300, 300] });
});
