import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clockFor, isStillShared, parseNow, TraceClock } from '../../../src/source/tracefs/trace-clock.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

test('clockFor chooses local only if the kernel reads it from a counter that all CPUs share', () => {
  assert.equal(clockFor('tsc\n'), 'local');
  assert.equal(clockFor('arch_sys_counter\n'), 'local');
  for (const other of ['kvm-clock\n', 'hpet\n', 'acpi_pm\n', 'hyperv_clocksource_tsc_page\n', ''])
    assert.equal(clockFor(other), 'mono');
});

test('local is shared until the kernel stops trusting its counter', () => {
  assert.ok(isStillShared('local', 'tsc\n'));
  assert.ok(!isStillShared('local', 'hpet\n'));
  assert.ok(isStillShared('mono', 'hpet\n'));
});

test('parseNow reads nanoseconds, rounded so that they are never too late', () => {
  assert.equal(
    parseNow('entries: 129\noldest event ts:  2577.821372\nnow ts:  2580.051023\ndropped events: 0\n'),
    2_580_051_022_000,
  );
  // Clocks without a unit, and other files.
  assert.equal(parseNow('now ts: 123456\n'), Number.POSITIVE_INFINITY);
  assert.equal(parseNow(''), Number.POSITIVE_INFINITY);
});

test('TraceClock reads the file each time', (t) => {
  const instance = temporaryFolder(t, 'clock');
  const stats = join(instance, 'per_cpu/cpu0/stats');
  mkdirSync(join(instance, 'per_cpu/cpu0'), { recursive: true });
  writeFileSync(stats, 'now ts:     1.000001\n');
  const clock = new TraceClock(instance);
  assert.equal(clock.nowNs(), 1e9);
  writeFileSync(stats, 'now ts:     2.500001\n');
  assert.equal(clock.nowNs(), 2.5e9);
  clock.close();
});

test('an instance that does not exist is reported in one line', () => {
  assert.throws(() => new TraceClock('/nowhere'), { name: 'AgentError', message: '/nowhere/per_cpu: no such file' });
});

test('the two clocks are compared again if another program ran between their reads', (t) => {
  const instance = temporaryFolder(t, 'clock');
  mkdirSync(join(instance, 'per_cpu/cpu0'), { recursive: true });
  writeFileSync(join(instance, 'per_cpu/cpu0/stats'), 'now ts:     1.000001\n');
  const clock = new TraceClock(instance);
  const offset = (...times: number[]) => clock.compare(() => times.shift() ?? 9999).offsetMs;
  assert.equal(offset(5000, 5000.25), 4000.25);
  assert.equal(offset(5000, 5300, 5300, 5300.5), 4300.5);
  // If each read is interrupted, the shortest counts.
  assert.equal(offset(5000, 5300, 5300, 5304, 5304, 5400, 5400, 5600), 4304);
  writeFileSync(join(instance, 'per_cpu/cpu0/stats'), 'now ts: 123456\n');
  assert.equal(offset(5000, 5000.25), Number.NaN);
  clock.close();
});
