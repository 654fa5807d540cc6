import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatisticReadings } from '../../src/advice/statistic-readings.js';

const row = (vm: string, value: number, readMs: number) => ({ vm, vcpu: '', stat: 'halt_poll_fail_ns', value, readMs });
const valuesOf = (rows: readonly { readonly value: number }[]) => rows.map(({ value }) => value);

test('the two latest readings stay until there is a new one', () => {
  const readings = new StatisticReadings();
  readings.observe([row('web', 1, 1000)], 1000);
  assert.deepEqual([valuesOf(readings.before), valuesOf(readings.latest)], [[], [1]]);
  for (const atMs of [11_500, 12_000, 12_500]) {
    readings.observe([row('web', 2, 11_000)], atMs);
    assert.deepEqual([valuesOf(readings.before), valuesOf(readings.latest)], [[1], [2]]);
  }
  readings.observe([row('web', 3, 21_000)], 21_000);
  assert.deepEqual([valuesOf(readings.before), valuesOf(readings.latest)], [[2], [3]]);
});

test('readings are forgotten with their VM, and when there are no new ones for a minute', () => {
  const readings = new StatisticReadings();
  readings.observe([row('web', 1, 1000), row('db', 1, 1000)], 1000);
  readings.observe([row('db', 1, 1000)], 61_000);
  assert.deepEqual(
    readings.latest.map(({ vm }) => vm),
    ['db'],
  );
  readings.observe([row('db', 1, 1000)], 61_001);
  assert.deepEqual(readings.latest, []);
});
