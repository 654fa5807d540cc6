/** The times of a guest's vCPU, as the agent counts them, and as the kernel does. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningAgent } from '../../support/agent/start-agent.js';
import { type GuestOptions, startGuest } from '../../support/guest/start-guest.js';
import type { Samples } from '../../support/prometheus/samples.js';
import { monotonicSeconds, type TestTrace, type TracedShares } from './traced-shares.js';

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
  /** The shares that the kernel's own text of a trace shows, if the test made one. */
  readonly traced: TracedShares | undefined;
}

export interface SharesOptions {
  readonly seconds: number;
  /** Time for a guest to get to its steps after its vCPU thread has started. */
  readonly warmUpSeconds: number;
  /** Traces the guests meanwhile. */
  readonly trace?: TestTrace | undefined;
}

interface Observation {
  readonly atSeconds: number;
  readonly scrapeSeconds: number;
  readonly states: Record<string, number>;
  readonly runNs: number;
  readonly waitNs: number;
}

/**
 * The agent answers a second scrape from the readings of the first one, unless some time has passed: twenty times what
 * these took (UsageRounds).
 */
const SCRAPE_PAUSE_MS = 1500;
/** Longest time until the agent shows a guest; an emulated host is slow. */
const START_MS = 60_000;

/** Runs guests of one vCPU at a time, and returns where their time went, by name. */
export async function sharesOf(
  agent: RunningAgent,
  guests: readonly GuestOptions[],
  { seconds, warmUpSeconds, trace }: SharesOptions,
): Promise<Map<string, VcpuShares>> {
  const running = guests.map((options) => startGuest(options));
  const isShown = (samples: Samples) =>
    running.every(({ name }) => samples.of('kvm_vcpu_seconds_total', { vm: name }).length > 0);
  await agent.scrapeUntil('the times of each guest', isShown, START_MS);
  await sleep(warmUpSeconds * 1000);
  const tids = new Map(running.map(({ name, pid }) => [name, vcpuThread(pid)]));
  trace?.start();
  const before = await observe(agent, tids);
  await sleep(seconds * 1000);
  const after = await observe(agent, tids);
  trace?.stop();
  for (const guest of running) await guest.kill();
  return new Map(
    [...tids].map(([name, thread]) => {
      const [first, last] = [before.get(name), after.get(name)];
      if (first === undefined || last === undefined) throw new Error(`${name} was not observed`);
      const traced = trace?.sharesOf(Number(thread.split('/').at(-1)), first.atSeconds, last.atSeconds);
      return [name, shares(first, last, traced)];
    }),
  );
}

/** The thread of the first vCPU, as `/proc/PID/task/TID`. */
export function vcpuThread(pid: number): string {
  const folder = `/proc/${pid}/task`;
  const tid = readdirSync(folder).find((id) => readFileSync(`${folder}/${id}/comm`, 'utf8') === 'CPU 0/KVM\n');
  if (tid === undefined) throw new Error(`process ${pid} has no vCPU thread`);
  return `${folder}/${tid}`;
}

/** Observes a few times, and keeps the observation with the shortest scrape. */
async function observe(agent: RunningAgent, tids: ReadonlyMap<string, string>): Promise<Map<string, Observation>> {
  await agent.scrape();
  let best: Map<string, Observation> | undefined;
  let bestSeconds = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3; tries++) {
    await sleep(SCRAPE_PAUSE_MS);
    const before = schedstats(tids);
    const samples = await agent.scrape();
    const after = schedstats(tids);
    const scrapeSeconds = after.atSeconds - before.atSeconds;
    if (scrapeSeconds >= bestSeconds) continue;
    bestSeconds = scrapeSeconds;
    best = new Map(
      [...tids.keys()].map((name) => [
        name,
        {
          atSeconds: (before.atSeconds + after.atSeconds) / 2,
          scrapeSeconds,
          states: samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm: name }),
          runNs: mean(before.of.get(name)?.[0], after.of.get(name)?.[0]),
          waitNs: mean(before.of.get(name)?.[1], after.of.get(name)?.[1]),
        },
      ]),
    );
  }
  return best ?? new Map();
}

function schedstats(tids: ReadonlyMap<string, string>): { atSeconds: number; of: Map<string, number[]> } {
  const of = new Map(
    [...tids].map(([name, folder]) => [name, readFileSync(`${folder}/schedstat`, 'utf8').split(' ').map(Number)]),
  );
  return { atSeconds: monotonicSeconds(), of };
}

function mean(a = Number.NaN, b = Number.NaN): number {
  return (a + b) / 2;
}

function shares(before: Observation, after: Observation, traced: TracedShares | undefined): VcpuShares {
  const seconds = after.atSeconds - before.atSeconds;
  const states = Object.fromEntries(
    Object.entries(after.states).map(([state, value]) => [state, (value - (before.states[state] ?? 0)) / seconds]),
  );
  return {
    states,
    sum: Object.values(states).reduce((sum, share) => sum + share, 0),
    uncertainty: (before.scrapeSeconds + after.scrapeSeconds) / 2 / seconds,
    ran: (after.runNs - before.runNs) / 1e9 / seconds,
    waited: (after.waitNs - before.waitNs) / 1e9 / seconds,
    traced,
  };
}
