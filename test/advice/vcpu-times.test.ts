/** Findings about time: the rates are seconds of a vCPU per second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advise } from '../../src/advice/advise.js';
import type { TimeRate } from '../../src/advice/vcpu-times.js';
import { workloadsOf } from '../../src/advice/workload.js';
import type { StatisticRow } from '../../src/snapshot/tables/statistics/kvm-statistics.js';
import type { VcpuTimes } from '../../src/snapshot/tables/vcpu-times.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vmInfo } from '../support/agent/vm-info.js';
import { workloadOf } from './example-workload.js';

const found = (times: readonly TimeRate[], vcpus = 1) =>
  advise([{ ...workloadOf({ times }), vcpus }], 60).map(
    ({ rule, load }) => `${rule.id}: ${load.perVcpuSecond}, mainly ${load.mainly}, costs ${load.cost}`,
  );
const ready = (vcpu: string, perSecond: number): TimeRate => ({ kind: 'state', name: 'ready', vcpu, perSecond });
const polled = (name: string, perSecond: number, vcpu = ''): TimeRate => ({
  kind: 'statistic',
  name: `halt_poll_${name}_ns`,
  vcpu,
  perSecond,
});

test('the vCPU that waits most decides, and the cost is that of all vCPUs', () => {
  assert.deepEqual(found([ready('0', 0.09), ready('1', 0.09)], 2), []);
  assert.deepEqual(found([ready('0', 0.5), ready('1', 0.25)], 2), ['waiting-for-cpu: 0.5, mainly vCPU 0, costs 0.75']);
});

test('of statistics that are one sum for all vCPUs, the mean vCPU decides', () => {
  assert.deepEqual(found([polled('success', 0.25), polled('fail', 0.5)], 4), []);
  assert.deepEqual(found([polled('success', 0.25), polled('fail', 0.75)], 4), [
    'halt-polling: 0.25, mainly halt_poll_fail_ns, costs 1',
  ]);
});

test('of statistics by vCPU, successful and vain polls of one vCPU add up', () => {
  assert.deepEqual(found([polled('success', 0.125, '2'), polled('fail', 0.125, '2'), polled('fail', 0.0625, '3')], 8), [
    'halt-polling: 0.25, mainly halt_poll_success_ns, costs 0.3125',
  ]);
});

const times = (readySeconds: number | undefined): VcpuTimes => ({
  vm: 'web',
  vcpu: '0',
  guestSeconds: 5,
  kvmSeconds: undefined,
  qemuSeconds: 0,
  readySeconds,
  idleSeconds: 0,
  unknownSeconds: 0,
});
const statistic = (value: number, readMs: number): StatisticRow => ({
  vm: 'web',
  vcpu: '',
  stat: 'halt_poll_fail_ns',
  value,
  readMs,
});
const snapshot = (vcpuTimes: readonly VcpuTimes[], statSeconds: readonly StatisticRow[]) => ({
  ...emptySnapshot(),
  vms: [vmInfo({ vm: 'web', vcpus: 2 })],
  vcpuTimes,
  statSeconds,
});
const ratesOf = (...[newer, older, seconds]: Parameters<typeof workloadsOf>) =>
  Object.fromEntries((workloadsOf(newer, older, seconds)[0]?.times ?? []).map((rate) => [rate.name, rate.perSecond]));

test('the rate of a state is its growth by the length of the period, and a state that is not shown has none', () => {
  const rates = ratesOf(snapshot([times(40)], []), snapshot([times(10)], []), 60);
  assert.equal(rates.ready, 0.5);
  assert.equal(rates.guest, 0);
  assert.ok(!('kvm' in rates));
});

test('the rate of a statistic is its growth by the time between the readings', () => {
  // Read 20 s apart, in a period of 15 s.
  const rates = ratesOf(snapshot([], [statistic(107, 30_000)]), snapshot([], [statistic(100, 10_000)]), 15);
  assert.equal(rates.halt_poll_fail_ns, 0.35);
});

test('the first reading of a statistic is no rate, because KVM counts since the VM began', () => {
  assert.deepEqual(ratesOf(snapshot([], [statistic(99_999, 10_000)]), snapshot([], []), 15), {});
  assert.deepEqual(ratesOf(snapshot([], [statistic(99_999, 10_000)]), undefined, 15), {});
});

test('a VM that is not traced has a workload, too', () => {
  const [workload] = workloadsOf(snapshot([times(40)], []), snapshot([times(10)], []), 60);
  assert.deepEqual([workload?.vm, workload?.vcpus, workload?.exits], ['web', 2, []]);
});
