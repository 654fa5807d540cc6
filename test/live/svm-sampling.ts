/**
 * Holds estimates against the truth: one agent samples, another one counts everything. Guests that are steady, periodic
 * and bursty run to their end, and halt. Prints each figure; the exit code is 1 if the exits of a VM do not add up to
 * KVM's own number, or if fewer than 95 % of the true numbers are in the stated intervals.
 *
 * svm.test.ts runs this in an emulated host.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { scrapePatiently } from '../support/guest/agent-checks.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Step } from '../support/guest/steps.js';
import type { Samples } from '../support/prometheus/samples.js';

/** Time for an agent to start; an emulated host is slow. */
const START_MS = 240_000;
const FIRST = ['nice', '-n', '-15'];
const SAMPLING = '--sampling=1s/4s';
/** Time until the guests have halted, and estimates are shown completely. */
const MAX_MS = 300_000;
/** Two periods, and a reading of KVM's statistics. */
const QUIET_MS = 25_000;

const tick = (times: number, everyMs: number, ticks: number): Step => ({
  bursts: { out: 0x80, times, everyMs, ticks },
});
const GUESTS: Readonly<Record<string, readonly Step[]>> = {
  steady: [tick(20, 50, 500), { halt: true }],
  periodic: [tick(400, 1000, 25), { halt: true }],
  bursty: [
    tick(5, 50, 150),
    { rdmsr: 0x1b, times: 3000 },
    tick(5, 50, 150),
    { cpuid: 0x4000_0000, times: 6000 },
    tick(5, 50, 200),
    { halt: true },
  ],
};

/** Exits of layer kvm by reason. */
function exitsOf(samples: Samples, vm: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { labels, value } of samples.of('kvm_exits_total', { vm, layer: 'kvm' })) {
    const reason = labels.get('reason') ?? '';
    sums.set(reason, (sums.get(reason) ?? 0) + value);
  }
  return sums;
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, number) => all + number, 0);

/** Scrapes until no figure has changed for a while. */
async function scrapeAtRest(agent: RunningAgent): Promise<Samples> {
  let [last, changedMs] = ['', performance.now()];
  for (const endMs = performance.now() + MAX_MS; ; await sleep(2000)) {
    const samples = await scrapePatiently(agent);
    const exits = JSON.stringify(samples.of('kvm_exits_total').map(({ value }) => value));
    if (exits !== last) [last, changedMs] = [exits, performance.now()];
    if (performance.now() - changedMs > QUIET_MS || performance.now() > endMs) return samples;
  }
}

async function compare(): Promise<boolean> {
  const start = (...args: string[]) => startAgent({ args, timeoutMs: START_MS, prefix: FIRST });
  const [sampled, full] = await Promise.all([start(SAMPLING), start()]);
  for (const [name, steps] of Object.entries(GUESTS)) startGuest({ name, steps });
  const estimates = await scrapeAtRest(sampled);
  const truth = await scrapePatiently(full);
  let [isExact, inside, all] = [true, 0, 0];
  for (const vm of Object.keys(GUESTS)) {
    const exits = estimates.sum('kvm_stat_total', { vm, stat: 'exits' });
    const estimated = exitsOf(estimates, vm);
    isExact &&= exits > 0 && exits === sum(estimated.values());
    console.log(`${vm}: ${sum(estimated.values())} of ${exits} exits; all events: ${sum(exitsOf(truth, vm).values())}`);
    for (const [reason, count] of exitsOf(truth, vm)) {
      const error = estimates.of('kvm_exits_sampling_error', { vm, reason })[0]?.value;
      // A reason that no window has seen has no series.
      if (error === undefined) continue;
      const estimate = estimated.get(reason) ?? 0;
      all++;
      // Counts are whole numbers.
      if (Math.abs(estimate - count) <= error + 1) inside++;
      console.log(`${vm} ${reason}: ${estimate} +- ${error.toFixed(1)}; all events: ${count}`);
    }
  }
  console.log(
    `fraction ${estimates.sum('kvm_exit_exporter_sampled_fraction')}; ${inside} of ${all} in their intervals`,
  );
  for (const agent of [sampled, full]) console.log(agent.log());
  await sampled.stop();
  await full.stop();
  return isExact && all > 0 && inside >= 0.95 * all;
}

try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await endAll();
}
