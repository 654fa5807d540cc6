/** The times of a guest's vCPU, as the agent counts them, and as the kernel does. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningAgent } from '../../support/agent/start-agent.js';
import { type GuestOptions, startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';

/** Parts of wall time. */
export interface VcpuShares {
  /** Shares by state, as the agent counts them. States without a series are missing. */
  readonly states: Readonly<Partial<Record<string, number>>>;
  readonly sum: number;
  /** The agent's figures are those of a moment during a scrape. Half of the scrapes' time, as a part of wall time. */
  readonly uncertainty: number;
  /** On a CPU, and runnable without one: by the kernel's `schedstat`, read by the test. */
  readonly ran: number;
  readonly waited: number;
}

interface Observation {
  readonly atMs: number;
  readonly scrapeMs: number;
  readonly states: Record<string, number>;
  readonly runNs: number;
  readonly waitNs: number;
}

/** The agent answers a second scrape from the readings of the first one, unless so much time has passed. */
const SCRAPE_PAUSE_MS = 300;
/** Longest time until the agent shows a guest; an emulated host is slow. */
const START_MS = 60_000;

/**
 * Runs guests of one vCPU at a time, and returns where their time went, by name.
 * @param warmUpSeconds time for a guest to get to its steps after its vCPU thread has started
 */
export async function sharesOf(
  agent: RunningAgent,
  guests: readonly GuestOptions[],
  { seconds, warmUpSeconds }: { readonly seconds: number; readonly warmUpSeconds: number },
): Promise<Map<string, VcpuShares>> {
  const running = guests.map((options) => startGuest(options));
  const isShown = (samples: Samples) =>
    running.every(({ name }) => samples.of('kvm_vcpu_seconds_total', { vm: name }).length > 0);
  await agent.scrapeUntil('the times of each guest', isShown, START_MS);
  await sleep(warmUpSeconds * 1000);
  const tids = new Map(running.map(({ name, pid }) => [name, vcpuThread(pid)]));
  const before = await observe(agent, tids);
  await sleep(seconds * 1000);
  const after = await observe(agent, tids);
  for (const guest of running) await guest.kill();
  return new Map(running.map(({ name }) => [name, shares(before.get(name), after.get(name))]));
}

/** The thread of the first vCPU, as `/proc/PID/task/TID`. */
export function vcpuThread(pid: number): string {
  const folder = `/proc/${pid}/task`;
  const tid = readdirSync(folder).find((id) => readFileSync(`${folder}/${id}/comm`, 'utf8') === 'CPU 0/KVM\n');
  if (tid === undefined) throw new Error(`process ${pid} has no vCPU thread`);
  return `${folder}/${tid}`;
}

async function observe(agent: RunningAgent, tids: ReadonlyMap<string, string>): Promise<Map<string, Observation>> {
  await agent.scrape();
  await sleep(SCRAPE_PAUSE_MS);
  const before = schedstats(tids);
  const samples = await agent.scrape();
  const after = schedstats(tids);
  return new Map(
    [...tids.keys()].map((name) => [
      name,
      {
        atMs: (before.atMs + after.atMs) / 2,
        scrapeMs: after.atMs - before.atMs,
        states: samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm: name }),
        runNs: mean(before.of.get(name)?.[0], after.of.get(name)?.[0]),
        waitNs: mean(before.of.get(name)?.[1], after.of.get(name)?.[1]),
      },
    ]),
  );
}

function schedstats(tids: ReadonlyMap<string, string>): { atMs: number; of: Map<string, number[]> } {
  const of = new Map(
    [...tids].map(([name, folder]) => [name, readFileSync(`${folder}/schedstat`, 'utf8').split(' ').map(Number)]),
  );
  return { atMs: performance.now(), of };
}

function mean(a = Number.NaN, b = Number.NaN): number {
  return (a + b) / 2;
}

function shares(before: Observation | undefined, after: Observation | undefined): VcpuShares {
  if (before === undefined || after === undefined) throw new Error('a guest was not observed');
  const seconds = (after.atMs - before.atMs) / 1000;
  const states = Object.fromEntries(
    Object.entries(after.states).map(([state, value]) => [state, (value - (before.states[state] ?? 0)) / seconds]),
  );
  return {
    states,
    sum: Object.values(states).reduce((sum, share) => sum + share, 0),
    uncertainty: (before.scrapeMs + after.scrapeMs) / 2000 / seconds,
    ran: (after.runNs - before.runNs) / 1e9 / seconds,
    waited: (after.waitNs - before.waitNs) / 1e9 / seconds,
  };
}
