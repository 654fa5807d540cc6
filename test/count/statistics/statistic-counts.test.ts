import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatisticCounts } from '../../../src/count/statistics/statistic-counts.js';
import type { KvmStatistic, StatisticsDoor, StatisticsReading } from '../../../src/trace/kvm-statistic.js';

const EXITS: KvmStatistic = { name: 'exits', kind: 'total', isTime: false, length: 1 };
const PAGES: KvmStatistic = { name: 'pages_4k', kind: 'current', isTime: false, length: 1 };

/** A reading of the exits of some vCPUs: vCPU -> number. */
function reading(exits: Readonly<Record<string, number>>, door: StatisticsDoor = 'qmp'): StatisticsReading {
  const parts = Object.entries(exits).map(([vcpu, value]) => ({ key: vcpu, vcpu, values: [[EXITS, value] as const] }));
  return { door, parts };
}

function pages(value: number): StatisticsReading {
  return { door: 'qmp', parts: [{ key: 'vm', vcpu: '', values: [[PAGES, value]] }] };
}

function valuesOf(counts: StatisticCounts, label = 'a', name = 'exits'): Record<string, number> {
  const { layout, vcpus } = counts.vms.get(label) ?? {};
  const slot = layout?.slots().find(({ statistic }) => statistic.name === name)?.slot ?? -1;
  return Object.fromEntries(Array.from(vcpus ?? [], ([vcpu, values]) => [vcpu, values[slot] ?? NaN]));
}

test("the first reading gives KVM's own totals, later ones add what was counted since", () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100, 1: 7 }));
  assert.deepEqual(valuesOf(counts), { 0: 100, 1: 7 });
  counts.add('a', 'life 1', reading({ 0: 150, 1: 7 }));
  assert.deepEqual(valuesOf(counts), { 0: 150, 1: 7 });
});

test('a VM that is restarted under its name continues', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100 }));
  counts.keepOnly(new Set(['life 2']));
  counts.add('a', 'life 2', reading({ 0: 30 }));
  counts.add('a', 'life 2', reading({ 0: 200 }));
  assert.deepEqual(valuesOf(counts), { 0: 300 });
});

test('while a VM migrates on this host, both of its processes count', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'from', reading({ 0: 100 }));
  counts.add('a', 'to', reading({ 0: 5 }));
  counts.add('a', 'from', reading({ 0: 110 }));
  counts.add('a', 'to', reading({ 0: 6 }));
  assert.deepEqual(valuesOf(counts), { 0: 116 });
});

test('a statistic that was set to 0 goes on from there', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100 }));
  counts.add('a', 'life 1', reading({ 0: 20 }));
  counts.add('a', 'life 1', reading({ 0: 25 }));
  assert.deepEqual(valuesOf(counts), { 0: 125 });
});

test('what one door showed is not counted again at another', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100, 1: 50 }));
  counts.add('a', 'life 1', reading({ '': 160 }, 'debugfs'));
  counts.add('a', 'life 1', reading({ '': 170 }, 'debugfs'));
  counts.add('a', 'life 1', reading({ 0: 120, 1: 60 }));
  counts.add('a', 'life 1', reading({ 0: 121, 1: 60 }));
  const values = valuesOf(counts);
  assert.deepEqual(values, { 0: 101, 1: 50, '': 10 });
  // Of the 181 exits so far, those between the last reading at a door and the first at the next are not shown.
  assert.equal(
    Object.values(values).reduce((sum, value) => sum + value),
    161,
  );
});

test('a vCPU that is unplugged keeps its count, and continues when it comes back', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 10, 1: 100 }));
  counts.add('a', 'life 1', reading({ 0: 11 }));
  counts.add('a', 'life 1', reading({ 0: 12, 1: 130 }));
  assert.deepEqual(valuesOf(counts), { 0: 12, 1: 130 });
});

test('a statistic that cannot be read for a moment loses nothing', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100 }));
  counts.add('a', 'life 1', { door: 'qmp', parts: [{ key: '0', vcpu: '0', values: [] }] });
  counts.add('a', 'life 1', reading({ 0: 130 }));
  assert.deepEqual(valuesOf(counts), { 0: 130 });
});

test('figures of now are those of what runs', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', pages(500));
  counts.add('a', 'life 1', pages(400));
  assert.deepEqual(valuesOf(counts, 'a', 'pages_4k'), { '': 400 });
  counts.keepOnly(new Set());
  assert.deepEqual(valuesOf(counts, 'a', 'pages_4k'), { '': NaN });
});

test('a VM that is forgotten begins again', () => {
  const counts = new StatisticCounts();
  counts.add('a', 'life 1', reading({ 0: 100 }));
  counts.forget('a');
  assert.deepEqual(valuesOf(counts), {});
});

for (const order of ['after', 'before'] as const)
  test(`a VM that makes up statistics without end, ${order} another VM is read, hides none of that VM`, () => {
    const counts = new StatisticCounts();
    if (order === 'after') counts.add('a', 'life 1', reading({ 0: 1 }));
    const many = Array.from({ length: 100_000 }, (_, index) => [{ ...EXITS, name: `exit_${index}` }, 1] as const);
    counts.add('b', 'life 2', { door: 'qmp', parts: [{ key: '0', vcpu: '0', values: many }] });
    counts.add('a', 'life 1', reading({ 0: 5 }));
    assert.deepEqual(valuesOf(counts), { 0: 5 });
    assert.equal(counts.vms.get('b')?.layout.slots().length, 512);
  });
