/**
 * A VM in focus beside a sampled one: its exits to KVM by reason are those of its code, exactly, while windows come and
 * go. Prints each figure; the exit code is 1 if a number of the VM in focus is another one.
 *
 * svm.test.ts runs this in an emulated host. A second agent counts everything, so that all tracepoints are on before
 * the guests start: enabling one while vCPUs run can crash an emulated host.
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
const ARGS = ['--sampling=1s/4s', '--focus=in-focus'];
const MAX_MS = 300_000;
/** Two periods. */
const QUIET_MS = 10_000;
const LEAF = 0x4000_0000;
const APIC_BASE = 0x1b;
const ROUNDS = 20;
const CPUIDS = 300;
const READS = 150;
const WRITES = 100;

/** Rounds, with pauses of a second in which the guest only ticks: many windows, of which few see the exits. */
const ROUND: readonly Step[] = [
  { cpuid: LEAF, times: CPUIDS },
  { rdmsr: APIC_BASE, times: READS },
  { bursts: { out: 0x80, times: WRITES / 10, everyMs: 100, ticks: 10 } },
];
const STEPS: readonly Step[] = [
  { waitForHost: true },
  ...Array.from({ length: ROUNDS }, () => ROUND).flat(),
  { halt: true },
];
/** What the code does. */
const WANTED: Readonly<Record<string, number>> = {
  cpuid: ROUNDS * CPUIDS,
  msr: ROUNDS * READS,
  io: ROUNDS * WRITES,
};
const VMS = ['in-focus', 'sampled'];

const exitsOf = (samples: Samples, vm: string, reason: string) =>
  samples.sum('kvm_exits_total', { vm, layer: 'kvm', reason });

async function scrapeUntil(agent: RunningAgent, done: (samples: Samples) => boolean): Promise<Samples> {
  for (const endMs = performance.now() + MAX_MS; ; await sleep(2000)) {
    const samples = await scrapePatiently(agent);
    if (done(samples) || performance.now() > endMs) return samples;
  }
}

async function compare(): Promise<boolean> {
  const start = (...args: string[]) => startAgent({ args, timeoutMs: START_MS, prefix: FIRST });
  const [agent, full] = await Promise.all([start(...ARGS), start()]);
  const guests = VMS.map((name) => startGuest({ name, steps: STEPS }));
  await scrapeUntil(agent, (samples) => samples.sum('kvm_vm_focused', { vm: 'in-focus' }) === 1);
  const before = await scrapePatiently(agent);
  for (const guest of guests) guest.goOn();
  const isDone = (samples: Samples) =>
    VMS.every((vm) => Object.entries(WANTED).every(([reason, count]) => exitsOf(samples, vm, reason) >= count));
  const truth = await scrapeUntil(full, isDone);
  await sleep(QUIET_MS);
  const samples = await scrapePatiently(agent);
  let isExact = samples.sum('kvm_vm_focused', { vm: 'in-focus' }) === 1;
  const fraction = samples.sum('kvm_exit_exporter_sampled_fraction');
  for (const vm of VMS)
    for (const [reason, wanted] of Object.entries(WANTED)) {
      const counted = exitsOf(samples, vm, reason) - exitsOf(before, vm, reason);
      const isWrong = vm === 'in-focus' && counted !== wanted;
      isExact &&= !isWrong;
      console.log(
        `${vm} ${reason}: ${counted} of ${wanted}; all events: ${exitsOf(truth, vm, reason)}${isWrong ? '   DIFFERENT' : ''}`,
      );
    }
  const lost = samples.sum('kvm_exit_exporter_lost_events_total');
  console.log(`fraction ${fraction}, ${lost} lost`);
  for (const each of [agent, full]) console.log(each.log());
  await agent.stop();
  await full.stop();
  return isExact && fraction > 0 && fraction < 0.9 && lost === 0;
}

try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await endAll();
}
