/** How the cost of a tracing tool is measured, whatever the tool is. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TRACEFS } from '../../support/agent/start-agent.js';
import type { RunningGuest } from '../../support/guest/start-guest.js';

/** USER_HZ, the unit of times in /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

/** How often a tool is attached and detached in a round. */
const TURNS = 20;
/** How long the guests' exits are counted in each state. */
const TURN_MS = 1000;
/**
 * Wait before each measurement: a tool that was just woken up has a backlog, which it would not have if it had run all
 * day.
 */
export const SETTLE_MS = 250;

export interface Load {
  readonly guests: readonly RunningGuest[];
  /** How long to measure. */
  readonly ms: number;
}

/** The cost to the guests: exits per second of all of them, as they count themselves. */
export interface Slowdown {
  /** With the tool attached. */
  readonly exitsPerSecond: number;
  /** Without it. */
  readonly untraced: number;
}

/** The cost of the tool's own processes. */
export interface Cost {
  /** CPU seconds per second. */
  readonly cpuShare: number;
  /** CPU time per event that the tool got; NaN if it gets none, or if it works in the kernel on the guests' time. */
  readonly nsPerEvent: number;
  /** The part of that which is spent on starting and ending, even without events; 0 for tools that run all the time. */
  readonly startAndEndNsPerEvent: number;
  readonly eventsPerSecond: number;
  readonly lost: number;
}

export type Run = Slowdown & Cost;

export const NO_COST: Cost = {
  cpuShare: 0,
  nsPerEvent: Number.NaN,
  startAndEndNsPerEvent: 0,
  eventsPerSecond: 0,
  lost: 0,
};

export type Tool = (load: Load) => Promise<Run>;

/** A tool that can be attached, and detached so that it costs nothing. */
export interface Attachable {
  attach(): Promise<void>;
  detach(): Promise<void>;
}

/** Compares the guests' exits with and without the tool. It must be detached, and is detached afterwards. */
export async function measureSlowdown(
  { guests }: Pick<Load, 'guests'>,
  { attach, detach }: Attachable,
  turns = TURNS,
): Promise<Slowdown> {
  const rate = async () => {
    await sleep(SETTLE_MS);
    const before = { exits: exitsOf(guests), at: performance.now() };
    await sleep(TURN_MS);
    return ((exitsOf(guests) - before.exits) * 1000) / (performance.now() - before.at);
  };
  const untraced = [await rate()];
  const traced: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    await attach();
    traced.push(await rate());
    await detach();
    untraced.push(await rate());
  }
  return { exitsPerSecond: mean(traced), untraced: mean(untraced) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Totals since the start of a tool. */
export interface Counts {
  readonly events: number;
  readonly lost: number;
}

/** Measures a tool that runs all the time and is warmed up, from before `wait` until after it. */
export async function measureCost(
  pid: number,
  counts: () => Promise<Counts>,
  wait: () => Promise<unknown>,
): Promise<Cost> {
  const observe = async () => ({
    ...(await counts()),
    cpu: cpuSeconds(pid),
    at: performance.now() / 1000,
  });
  const before = await observe();
  await wait();
  const after = await observe();
  const seconds = after.at - before.at;
  const cpu = after.cpu - before.cpu;
  const events = after.events - before.events;
  return {
    cpuShare: cpu / seconds,
    nsPerEvent: (cpu * 1e9) / events,
    startAndEndNsPerEvent: 0,
    eventsPerSecond: events / seconds,
    lost: after.lost,
  };
}

/**
 * A tracing instance, and the process that reads it, if any. While it is detached, its events are off and the process
 * is stopped.
 */
export function attachable(instance: string, pid?: number): Attachable {
  const file = join(TRACEFS, 'instances', instance, 'set_event');
  const events = readFileSync(file, 'utf8').trim().split('\n');
  return {
    async attach() {
      for (const event of events) appendFileSync(file, event);
      if (pid !== undefined) process.kill(pid, 'SIGCONT');
    },
    async detach() {
      writeFileSync(file, '');
      if (pid !== undefined) process.kill(pid, 'SIGSTOP');
    },
  };
}

/** Exits of all guests so far, as they count themselves. */
export function exitsOf(guests: readonly RunningGuest[]): number {
  return guests.reduce((sum, guest) => sum + guest.writesDone(), 0);
}

function cpuSeconds(pid: number): number {
  return cpuOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** CPU seconds from the text of /proc/PID/stat: fields 14 to 17, of the process and of its children that have ended. */
export function cpuOf(stat: string): number {
  const [, rest = ''] = /\) (.*)/.exec(stat) ?? [];
  const ticks = rest.split(' ').slice(11, 15).map(Number);
  return ticks.reduce((sum, time) => sum + time, 0) / TICKS_PER_SECOND;
}

/** What a report says about the machine that it was measured on. */
export function describeMachine() {
  return { cpus: availableParallelism(), kernel: release().replace(/-.*/, ''), node: process.version };
}
