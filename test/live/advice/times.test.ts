/** Findings about time: guests that wait for a CPU of the host, and the same guests with what the advice says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { createCpuQuota, needsCpuCgroup } from '../../support/guest/cpu-quota.js';
import { lastCpu } from '../../support/guest/last-cpu.js';
import { liveTest } from '../../support/guest/live-test.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { allOf } from '../../support/requirements.js';
import { vcpuThread } from '../times/vcpu-shares.js';

const LASTING_SECONDS = 5;
/** Periods of findings that are compared. */
const PERIODS = 12;
/** Largest difference between the cost of a finding and the kernel's own figure. */
const TOLERANCE = 0.05;

/** Gives a cured guest a CPU whenever it wants one, whatever else this machine runs. */
const FIRST = ['chrt', '-f', '1'];
const SPIN = [{ spin: true }] as const;

afterEach(endAll);

const withoutTrace = () => startAgent({ args: ['--no-collector.kernel', `--advice.lasting=${LASTING_SECONDS}s`] });

/** Costs of findings that were just updated, and how long vCPUs have waited by the kernel's count. */
interface Moment {
  readonly atMs: number;
  /** Costs in the period that ends now, by guest. */
  readonly costs: readonly number[];
  readonly waitedSeconds: readonly number[];
}

/** Notes the moments at which the agent updates its findings, which it does five times in LASTING_SECONDS. */
async function momentsOf(agent: RunningAgent, guests: readonly RunningGuest[]): Promise<Moment[]> {
  const threads = guests.map(({ pid }) => vcpuThread(pid));
  const moments: Moment[] = [];
  let last = '';
  await agent.scrapeUntil('findings of each period', (samples) => {
    const costs = guests.map(({ name }) => samples.sum('kvm_vm_advice', { vm: name, advice: 'waiting-for-cpu' }));
    if (costs.join() !== last)
      moments.push({ atMs: performance.now(), costs, waitedSeconds: threads.map(waitedSeconds) });
    last = costs.join();
    return moments.length > PERIODS;
  });
  // The first one is that of the first scrape.
  return moments.slice(1);
}

/** The part of the time that each vCPU waited, by findings and by the kernel's count of the same periods. */
async function compareCosts(agent: RunningAgent, guests: readonly RunningGuest[]): Promise<string[]> {
  await agent.scrapeUntil('a finding of each guest', (now) =>
    guests.every(({ name }) => now.sum('kvm_vm_advice', { vm: name, advice: 'waiting-for-cpu' }) > 0),
  );
  const moments = await momentsOf(agent, guests);
  const [first, last] = [moments[0] as Moment, moments.at(-1) as Moment];
  const seconds = (last.atMs - first.atMs) / 1000;
  return guests.map(({ name }, index) => {
    const waited = ({ waitedSeconds }: Moment) => waitedSeconds[index] as number;
    const cost = moments.slice(1).reduce((sum, { atMs, costs }, before) => {
      const period = (atMs - (moments[before] as Moment).atMs) / 1000;
      return sum + ((costs[index] as number) * period) / seconds;
    }, 0);
    const expected = (waited(last) - waited(first)) / seconds;
    const line = `${name}: costs ${cost.toFixed(3)}, by schedstat ${expected.toFixed(3)}`;
    assert.ok(Math.abs(cost / expected - 1) <= TOLERANCE, line);
    return line;
  });
}

function waitedSeconds(thread: string): number {
  return Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[1]) / 1e9;
}

test('a guest with a CPU quota waits, and without one does not', allOf(liveTest(), needsCpuCgroup()), async (t) => {
  const agent = await withoutTrace();
  const limited = startGuest({ name: 'waits-quota', steps: SPIN, prefix: createCpuQuota(0.3).prefix });
  for (const line of await compareCosts(agent, [limited])) t.diagnostic(line);
  await limited.kill();
  const cured = startGuest({ name: 'waits-not', steps: SPIN, prefix: FIRST });
  await assertNoFinding(agent, cured.name);
});

test('guests that share a CPU wait, and each with one of its own does not', liveTest(), async (t) => {
  const agent = await withoutTrace();
  const crowded = ['waits-a', 'waits-b'].map((name) =>
    startGuest({ name, steps: SPIN, prefix: ['taskset', '-c', lastCpu()] }),
  );
  for (const line of await compareCosts(agent, crowded)) t.diagnostic(line);
  for (const guest of crowded) await guest.kill();
  const alone = startGuest({ name: 'waits-not', steps: SPIN, prefix: [...FIRST, 'taskset', '-c', lastCpu()] });
  await assertNoFinding(agent, alone.name);
});

/** Waits for more than the time after which findings are shown. */
async function assertNoFinding(agent: RunningAgent, vm: string): Promise<void> {
  await agent.scrapeUntil('the times', (now) => now.of('kvm_vcpu_seconds_total', { vm }).length > 0, 60_000);
  await sleep(2 * LASTING_SECONDS * 1000);
  const findings = (await agent.scrape()).of('kvm_vm_advice', { vm });
  assert.deepEqual(
    findings.map(({ labels }) => labels.get('advice')),
    [],
  );
}
