import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatisticCounts } from '../../../src/count/statistics/statistic-counts.js';
import { statisticGrowth, statisticMoment } from '../../../src/count/statistics/statistic-growth.js';
import type { KvmStatistic, StatisticsReading } from '../../../src/trace/kvm-statistic.js';

const EXITS: KvmStatistic = { name: 'exits', kind: 'total', isTime: false, length: 1 };
const WAITS: KvmStatistic = { name: 'halt_wait_ns', kind: 'total', isTime: true, length: 1 };
const PAGES: KvmStatistic = { name: 'pages_4k', kind: 'current', isTime: false, length: 1 };

function reading(vcpu: string, exits: number, waitSeconds: number): StatisticsReading {
  const values = [
    [EXITS, exits],
    [WAITS, waitSeconds],
    [PAGES, 12],
  ] as const;
  return { door: 'qmp', parts: [{ key: vcpu, vcpu, values }] };
}

const noneStarted = () => false;

test('totals grow between two readings, and a figure of now has no growth', () => {
  const counts = new StatisticCounts();
  counts.add('web', 'life', reading('0', 1000, 0), 5000);
  const older = statisticMoment(counts);
  counts.add('web', 'life', reading('0', 1700, 0.25), 7000);
  assert.deepEqual(statisticGrowth(older, statisticMoment(counts), noneStarted, 2.1), [
    { vm: 'web', vcpu: '0', stat: 'exits', isTime: false, growth: 700, seconds: 2 },
    { vm: 'web', vcpu: '0', stat: 'halt_wait_ns', isTime: true, growth: 0.25, seconds: 2 },
  ]);
});

test('of a VM that was not read for both moments, nothing is known, unless it started in between', () => {
  const counts = new StatisticCounts();
  counts.add('ended', 'life', reading('0', 1000, 0), 5000);
  const older = statisticMoment(counts);
  counts.add('late', 'life', reading('0', 30, 0), 7000);
  counts.add('new', 'life', reading('0', 40, 0), 7000);
  const growth = statisticGrowth(older, statisticMoment(counts), (vm) => vm === 'new', 2.1);
  assert.deepEqual(
    growth.map(({ vm, stat, growth: grown, seconds }) => [vm, stat, grown, seconds]),
    [
      ['new', 'exits', 40, 2.1],
      ['new', 'halt_wait_ns', 0, 2.1],
    ],
  );
});
