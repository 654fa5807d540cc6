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
/** Largest difference between the cost of a finding and the kernel's own figure. */
const TOLERANCE = 0.2;
const MAX_TRIES = 4;

/** Gives a cured guest a CPU whenever it wants one, whatever else this machine runs. */
const FIRST = ['chrt', '-f', '1'];
const SPIN = [{ spin: true }] as const;

afterEach(endAll);

const withoutTrace = () => startAgent({ args: ['--no-collector.kernel', `--advice.lasting=${LASTING_SECONDS}s`] });

/** Part of the time that each vCPU waited while the finding was made, by the kernel's count. */
async function compareCosts(agent: RunningAgent, guests: readonly RunningGuest[]): Promise<string[]> {
  const costs = async (name: string) => {
    const isFound = ({ value }: { value: number }) => value > 0;
    const samples = await agent.scrapeUntil(
      `the finding of ${name}`,
      (now) => now.of('kvm_vm_advice', { vm: name, advice: 'waiting-for-cpu' }).some(isFound),
      60_000,
    );
    return samples.of('kvm_vm_advice', { vm: name })[0]?.value ?? Number.NaN;
  };
  for (const { name } of guests) await costs(name);
  const threads = guests.map(({ pid }) => vcpuThread(pid));
  for (let tries = 1; ; tries++) {
    const before = threads.map(waitedSeconds);
    const startMs = performance.now();
    await sleep(2 * LASTING_SECONDS * 1000);
    const seconds = (performance.now() - startMs) / 1000;
    const waited = threads.map((thread, index) => (waitedSeconds(thread) - (before[index] ?? 0)) / seconds);
    const found: (readonly [name: string, cost: number, expected: number])[] = [];
    for (const [index, { name }] of guests.entries())
      found.push([name, await costs(name), waited[index] ?? Number.NaN]);
    const lines = found.map(
      ([name, cost, expected]) => `${name}: costs ${cost.toFixed(3)}, by schedstat ${expected.toFixed(3)}`,
    );
    // The load of this machine may change between the period of the finding and the time of the measurement.
    if (found.every(([, cost, expected]) => Math.abs(cost / expected - 1) <= TOLERANCE)) return lines;
    assert.ok(tries < MAX_TRIES, lines.join('; '));
  }
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
