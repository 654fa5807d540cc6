/**
 * What an agent that samples leaves of its guests' exits.
 *
 * A minute is too long to be compared with the one before it: the speed of a machine changes by some percent in
 * seconds. So the agent is stopped (SIGSTOP) for half a second of each second between its windows, and what guests do
 * in a window, or beside the running agent, is held against the nearest half seconds without it:
 *
 *   agent    runs  stopped  runs  stopped  [ window: all events are on ]  stopped  runs ...
 *
 * The events that stay on between windows cost these guests nothing, as they raise none of them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS } from '../../support/agent/start-agent.js';
import type { RunningGuest } from '../../support/guest/start-guest.js';
import { exitsOf } from './measure.js';

/** An event that is on in windows only. */
const SAMPLED_EVENT = 'kvm_pio';
const SLICE_MS = 500;
/** Time for the agent's first, shorter period, and for what a stopped agent has to make up for. */
const WARM_UP_MS = 15_000;
const SETTLE_MS = 100;

type State = 'stopped' | 'running' | 'window';

interface Slice {
  readonly state: State;
  readonly exitsPerSecond: number;
}

export interface SampledRound {
  /** Exits as a share of those without the agent; NaN if there was no such time. */
  readonly inWindows: number;
  readonly betweenWindows: number;
  /** Part of the time in windows. */
  readonly windows: number;
}

/** Watches guests with an agent for so many rounds. */
export async function measureSampling(
  guests: readonly RunningGuest[],
  args: readonly string[],
  rounds: number,
  ms: number,
): Promise<readonly SampledRound[]> {
  const agent = await startAgent({ args });
  await sleep(WARM_UP_MS);
  const results: SampledRound[] = [];
  const pid = agent.process.pid ?? 0;
  const switchFile = join(TRACEFS, 'instances', agent.instance, 'events/kvm', SAMPLED_EVENT, 'enable');
  const isWindow = () => readFileSync(switchFile, 'latin1').startsWith('1');
  for (let round = 0; round < rounds; round++) {
    const slices: Slice[] = [];
    let windowMs = 0;
    const startMs = performance.now();
    for (let stops = true; performance.now() < startMs + ms; stops = !stops) {
      const began = stops && !isWindow() ? stop(pid, isWindow) : state(isWindow);
      await sleep(SETTLE_MS);
      const [before, atMs] = [exitsOf(guests), performance.now()];
      await sleep(SLICE_MS - SETTLE_MS);
      const exitsPerSecond = ((exitsOf(guests) - before) * 1000) / (performance.now() - atMs);
      const ended = began === 'stopped' ? 'stopped' : state(isWindow);
      if (ended === 'window') windowMs += SLICE_MS;
      if (began === ended) slices.push({ state: began, exitsPerSecond });
      process.kill(pid, 'SIGCONT');
    }
    results.push({
      inWindows: ratioOf(slices, 'window'),
      betweenWindows: ratioOf(slices, 'running'),
      windows: windowMs / (performance.now() - startMs),
    });
    console.error(`${args.join(' ')}: ${JSON.stringify(results.at(-1))}`);
  }
  await agent.stop();
  return results;
}

function state(isWindow: () => boolean): State {
  return isWindow() ? 'window' : 'running';
}

/** Stops the agent, unless a window has just begun. */
function stop(pid: number, isWindow: () => boolean): State {
  process.kill(pid, 'SIGSTOP');
  if (!isWindow()) return 'stopped';
  process.kill(pid, 'SIGCONT');
  return 'window';
}

/** Mean of the slices of a state, each by the mean of the nearest two in which the agent was stopped. */
function ratioOf(slices: readonly Slice[], wanted: State): number {
  const ratios: number[] = [];
  for (const [index, { state, exitsPerSecond }] of slices.entries()) {
    if (state !== wanted) continue;
    const isStopped = (slice: Slice) => slice.state === 'stopped';
    const [before, after] = [slices.slice(0, index).findLast(isStopped), slices.slice(index).find(isStopped)];
    if (before !== undefined && after !== undefined)
      ratios.push((2 * exitsPerSecond) / (before.exitsPerSecond + after.exitsPerSecond));
  }
  return ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
}
