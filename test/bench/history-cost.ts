/**
 * What the history of the page costs: milliseconds of CPU per step, the longest piece of it without a pause, and
 * memory.
 *
 *   node --expose-gc build/test/bench/history-cost.js
 */
import { newHistogram, recordDuration, summarize } from '../../src/count/counters/duration-histogram.js';
import { History } from '../../src/history/history.js';
import { MAX_BYTES_PER_VM } from '../../src/history/vm-history.js';
import { observationOf } from '../../src/rates/observation.js';
import { StatisticRates } from '../../src/rates/statistic-rates.js';
import type { Snapshot } from '../../src/snapshot/snapshot.js';
import { emptySnapshot } from '../support/agent/empty-snapshot.js';
import { vcpuTimes } from '../support/agent/vcpu-times.js';
import { vmInfo } from '../support/agent/vm-info.js';

const VCPUS = 8;
const REASONS = 12;
const DEVICES = 8;
const STEPS = 6;

for (const vms of [100, 1000]) {
  const before = memory();
  const history = new History();
  const statistics = new StatisticRates();
  const [steps, slices]: [number[], number[]] = [[], []];
  // CPU time, which other programs do not lengthen; that of V8's garbage collection is in it.
  const cpuMs = () => process.cpuUsage().user / 1000;
  for (let step = 0; step < STEPS; step++) {
    const observation = observationOf(snapshotAt(step, vms), 5000 * step);
    const startMs = cpuMs();
    let sliceMs = startMs;
    for (const _ of history.observe(observation, statistics)) {
      slices.push(cpuMs() - sliceMs);
      sliceMs = cpuMs();
    }
    slices.push(cpuMs() - sliceMs);
    steps.push(cpuMs() - startMs);
  }
  const used = memory() - before;
  const [stepMs, sliceMs] = [steps.sort((a, b) => a - b)[STEPS >> 1] ?? 0, Math.max(...slices)];
  const perVm = (bytes: number) => `${(bytes / vms / 1000).toFixed(1)} kB per VM`;
  console.log(`${vms} VMs of ${VCPUS} vCPUs`);
  print('a step', `${stepMs.toFixed(1)} ms of CPU`);
  print('its longest piece without a pause', `${sliceMs.toFixed(1)} ms of CPU`);
  print('values of the charts', `${perVm(history.bytes)}, at most ${(MAX_BYTES_PER_VM / 1000).toFixed(1)} kB`);
  print('with the latest counts', perVm(used));
}

function print(what: string, figure: string): void {
  console.log(`  ${what.padEnd(36)} ${figure}`);
}

function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Each VM with the same counts, which rise by step. */
function snapshotAt(step: number, vms: number): Snapshot {
  const histogram = newHistogram();
  for (let i = 0; i < 100 * step; i++) recordDuration(histogram, 10_000 + i);
  const summary = summarize(histogram);
  const names = Array.from({ length: vms }, (_, vm) => `vm-${vm}`);
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));
  const layers = ['kvm', 'qemu'] as const;
  return {
    ...emptySnapshot(),
    sources: [{ source: 'tracefs', up: true, events: 1, drains: 1, drainSeconds: 1, lost: [], malformed: [] }],
    vms: names.map((vm) => vmInfo({ vm, vcpus: VCPUS })),
    exits: names.flatMap((vm) =>
      numbers(VCPUS).flatMap((vcpu) =>
        layers.flatMap((layer) => numbers(REASONS).map((reason) => ({ vm, vcpu, layer, reason, count: 100 * step }))),
      ),
    ),
    vcpuTimes: names.flatMap((vm) => numbers(VCPUS).map((vcpu) => vcpuTimes({ vm, vcpu, guestSeconds: 5 * step }))),
    durations: names.flatMap((vm) =>
      layers.flatMap((layer) => numbers(REASONS).map((reason) => ({ vm, layer, reason, ...summary }))),
    ),
    io: names.flatMap((vm) =>
      numbers(DEVICES).map((device) => ({
        vm,
        layer: 'qemu' as const,
        bus: 'pio' as const,
        direction: 'in' as const,
        address: `0x${device}`,
        device,
        count: 100 * step,
      })),
    ),
  };
}
