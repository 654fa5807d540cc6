/**
 * Halts of a guest on a host whose KVM polls before it lets a vCPU sleep: how often polling ended them and how often an
 * interrupt, and how long KVM polled. The agent has this from KVM's statistics; here it is held against
 * kvm_vcpu_wakeup, read by this script from a tracing instance of its own. Prints both; the exit code is 1 if they
 * differ.
 *
 * svm.test.ts runs this in an emulated host. Every event is enabled before the guest starts.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

const PATIENCE_MS = 240_000;
const VM = 'halts';
const TICKS = 400;
const HALT_POLL_NS = '/sys/module/kvm/parameters/halt_poll_ns';

interface Halts {
  /** Halts that polling ended, and halts in which the vCPU slept. */
  polled: number;
  slept: number;
  /** Nanoseconds of those that polling ended. */
  pollNs: number;
}

/** Lines such as `kvm_vcpu_wakeup: wait time 7950431 ns, polling valid` (include/trace/events/kvm.h). */
function haltsIn(text: string): Halts {
  const halts: Halts = { polled: 0, slept: 0, pollNs: 0 };
  for (const [, word, ns] of text.matchAll(/kvm_vcpu_wakeup: (wait|poll) time (\d+) ns/g))
    if (word === 'wait') halts.slept++;
    else {
      halts.polled++;
      halts.pollNs += Number(ns);
    }
  return halts;
}

const statistic = (samples: Samples, stat: string) =>
  samples.sum('kvm_stat_total', { vm: VM, stat }) + samples.sum('kvm_stat_seconds_total', { vm: VM, stat });

try {
  const instance = `${TRACEFS}/instances/svm-halts`;
  mkdirSync(instance);
  writeFileSync(`${instance}/events/kvm/kvm_vcpu_wakeup/enable`, '1');
  // An emulated host takes long to wake a vCPU: with this, polling ends a part of the halts.
  writeFileSync(HALT_POLL_NS, '6000000');
  const agent = await startAgent({
    args: ['--no-collector.kernel', '--collector.kvm-stats.all'],
    timeoutMs: PATIENCE_MS,
  });
  // It spins at the end, so that its statistics stand still.
  const guest = startGuest({
    name: VM,
    steps: [{ bursts: { out: 0x80, times: 1, everyMs: 8, ticks: TICKS } }, { waitForHost: true }],
  });
  const samples = await agent.scrapeUntil(
    'all halts',
    (now) => statistic(now, 'halt_exits') >= TICKS && guest.writesDone() === TICKS,
    PATIENCE_MS,
  );
  const traced = haltsIn(readFileSync(`${instance}/trace`, 'utf8'));
  const shown = Object.fromEntries(
    ['halt_exits', 'halt_successful_poll', 'halt_attempted_poll', 'halt_wakeup'].map((stat) => [
      stat,
      statistic(samples, stat),
    ]),
  );
  const seconds = {
    success: statistic(samples, 'halt_poll_success_ns'),
    fail: statistic(samples, 'halt_poll_fail_ns'),
  };
  console.log('by kvm_vcpu_wakeup:', JSON.stringify(traced), 'shown:', JSON.stringify({ ...shown, ...seconds }));
  assert.equal(shown.halt_exits, TICKS);
  assert.ok(traced.slept > TICKS / 2, 'the guest slept');
  // The kernel counts a wake-up before the vCPU reports it, and one of the two can be beyond the end.
  assert.ok(Math.abs((shown.halt_wakeup ?? 0) - traced.slept) <= 0.02 * traced.slept, 'halts that an interrupt ended');
  // The event says "poll" also if the vCPU had something to do before polling began.
  assert.ok((shown.halt_successful_poll ?? 0) <= traced.polled, 'halts that polling ended');
  assert.ok((shown.halt_attempted_poll ?? 0) > 0, 'KVM polled');
  assert.ok(seconds.success * 1e9 <= traced.pollNs, 'time polled until something came');
  assert.ok(seconds.success + seconds.fail > 0, 'time polled');
} finally {
  await endAll();
}
