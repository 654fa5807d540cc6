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
  /** Runs while the time is measured. */
  readonly meanwhile?: ((agents: readonly RunningAgent[]) => Promise<void>) | undefined;
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

/** Between two observations, and between the scrapes of one. */
const SCRAPE_PAUSE_MS = 1500;
const POLL_MS = 20;
/** Longest time until the agent shows a guest; an emulated host is slow. */
const START_MS = 60_000;

export interface GuestShares {
  readonly name: string;
  readonly shares: VcpuShares;
}

/** Runs guests of one vCPU at a time, and returns where their time went: each guest as each agent counts it. */
export async function sharesOf(
  agents: readonly RunningAgent[],
  guests: readonly GuestOptions[],
  { seconds, warmUpSeconds, meanwhile, trace }: SharesOptions,
): Promise<GuestShares[]> {
  const running = guests.map((options) => startGuest(options));
  const isShown = (samples: Samples) =>
    running.every(({ name }) => samples.of('kvm_vcpu_seconds_total', { vm: name }).length > 0);
  await Promise.all(agents.map((agent) => agent.scrapeUntil('the times of each guest', isShown, START_MS)));
  await sleep(warmUpSeconds * 1000);
  const tids = new Map(running.map(({ name, pid }) => [name, vcpuThread(pid)]));
  trace?.start();
  const before = await observeAll(agents, tids);
  await Promise.all([sleep(seconds * 1000), meanwhile?.(agents)]);
  const after = await observeAll(agents, tids);
  trace?.stop();
  for (const guest of running) await guest.kill();
  return agents.flatMap((_, index) =>
    [...tids].map(([name, thread]) => {
      const [first, last] = [before[index]?.get(name), after[index]?.get(name)];
      if (first === undefined || last === undefined) throw new Error(`${name} was not observed`);
      const traced = trace?.sharesOf(Number(thread.split('/').at(-1)), first.atSeconds, last.atSeconds);
      return { name, shares: shares(first, last, traced) };
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

/** Observes through all agents. They are not scraped at the same moment, which would make each scrape longer. */
function observeAll(
  agents: readonly RunningAgent[],
  tids: ReadonlyMap<string, string>,
): Promise<Map<string, Observation>[]> {
  const pauseMs = SCRAPE_PAUSE_MS / agents.length;
  return Promise.all(agents.map((agent, index) => sleep(index * pauseMs).then(() => observe(agent, tids))));
}

/** Observes a few times, and keeps the observation whose moment is known best. */
async function observe(agent: RunningAgent, tids: ReadonlyMap<string, string>): Promise<Map<string, Observation>> {
  let best: Map<string, Observation> | undefined;
  let bestSeconds = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3; tries++) {
    await sleep(SCRAPE_PAUSE_MS);
    const { before, after, samples } = await freshScrape(agent, tids);
    const scrapeSeconds = after.atSeconds - before.atSeconds;
    if (scrapeSeconds >= bestSeconds) continue;
    bestSeconds = scrapeSeconds;
    best = new Map(
      [...tids.keys()].map((name) => [
        name,
        {
          atSeconds: (before.atSeconds + after.atSeconds) / 2,
          scrapeSeconds,
          states: statesOf(samples, name),
          runNs: mean(before.of.get(name)?.[0], after.of.get(name)?.[0]),
          waitNs: mean(before.of.get(name)?.[1], after.of.get(name)?.[1]),
        },
      ]),
    );
  }
  return best ?? new Map();
}

const statesOf = (samples: Samples, vm: string) => samples.sumBy('state', 'kvm_vcpu_seconds_total', { vm });

/**
 * Scrapes until the agent has read the times of all guests once more, which it did between `before` and `after`: it may
 * answer from its last reading, and how long it does depends on the number of vCPUs on the host.
 */
async function freshScrape(
  agent: RunningAgent,
  tids: ReadonlyMap<string, string>,
): Promise<{ before: Schedstats; after: Schedstats; samples: Samples }> {
  const sumsOf = (samples: Samples) =>
    [...tids.keys()].map((name) => Object.values(statesOf(samples, name)).reduce((sum, time) => sum + time, 0));
  let before = schedstats(tids);
  let last = sumsOf(await agent.scrape());
  for (;;) {
    const next = schedstats(tids);
    const samples = await agent.scrape();
    const sums = sumsOf(samples);
    if (sums.every((sum, index) => sum !== last[index])) return { before, after: schedstats(tids), samples };
    before = next;
    last = sums;
    await sleep(POLL_MS);
  }
}

interface Schedstats {
  readonly atSeconds: number;
  /** Time on a CPU and time waited for one, by guest. */
  readonly of: ReadonlyMap<string, readonly number[]>;
}

function schedstats(tids: ReadonlyMap<string, string>): Schedstats {
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
