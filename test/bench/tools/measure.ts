/** What one tool costs while it watches the guests: how it is measured, whatever the tool. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TRACEFS } from '../../support/agent/agent.js';
import type { RunningGuest } from '../../support/guest/start-guest.js';

/** USER_HZ: the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

/** How often a tool is put on and taken away, and how long each is looked at. */
const TURNS = 20;
const TURN_MS = 1000;
/** Before each look: who has just been woken has things to catch up with, which it would not have if it had been on all day. */
export const SETTLE_MS = 250;

export interface Load {
  readonly guests: readonly RunningGuest[];
  readonly ms: number;
}

/** What a tool costs the guests: exits per second of all of them, as they count themselves. */
export interface Slowdown {
  readonly exitsPerSecond: number;
  readonly untraced: number;
}

/** What it costs itself. */
export interface Cost {
  /** CPU seconds of the tool per second. */
  readonly cpuShare: number;
  /** CPU of the tool per event that it got; NaN where it gets none, or does its work in the kernel on the guests' time. */
  readonly nsPerEvent: number;
  /** What of that is its start and its end, which take as long without any event; 0 for those that run on and on. */
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

/** What puts a tool on, and takes it away without a trace. */
export interface Switch {
  on(): Promise<void>;
  off(): Promise<void>;
}

/** It must be off, and is off again then. */
export async function alternate({ guests }: Load, { on, off }: Switch): Promise<Slowdown> {
  const rate = async () => {
    await sleep(SETTLE_MS);
    const before = { exits: exitsOf(guests), at: performance.now() };
    await sleep(TURN_MS);
    return ((exitsOf(guests) - before.exits) * 1000) / (performance.now() - before.at);
  };
  const without = [await rate()];
  const watched: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    await on();
    watched.push(await rate());
    await off();
    without.push(await rate());
  }
  return { exitsPerSecond: mean(watched), untraced: mean(without) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** So far. */
export interface Counts {
  readonly events: number;
  readonly lost: number;
}

/** Looks at the beginning and at the end of a while: for tools that run on and on, once they are warm. */
export async function costOf(
  pid: number,
  counts: () => Promise<Counts>,
  meanwhile: () => Promise<unknown>,
): Promise<Cost> {
  const look = async () => ({
    ...(await counts()),
    cpu: cpuSeconds(pid),
    at: performance.now() / 1000,
  });
  const before = await look();
  await meanwhile();
  const after = await look();
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

/** Events of an instance and the process that reads them, if any: both rest while it is off, so that it takes no time at all. */
export function switchOf(instance: string, pid?: number): Switch {
  const file = join(TRACEFS, 'instances', instance, 'set_event');
  const events = readFileSync(file, 'utf8').trim().split('\n');
  return {
    async on() {
      for (const event of events) appendFileSync(file, event);
      if (pid !== undefined) process.kill(pid, 'SIGCONT');
    },
    async off() {
      writeFileSync(file, '');
      if (pid !== undefined) process.kill(pid, 'SIGSTOP');
    },
  };
}

export function exitsOf(guests: readonly RunningGuest[]): number {
  return guests.reduce((sum, guest) => sum + guest.writesDone(), 0);
}

function cpuSeconds(pid: number): number {
  return cpuOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** User and system time of a process and of its children that ended: fields 14 to 17 of its stat. */
export function cpuOf(stat: string): number {
  const [, rest = ''] = /\) (.*)/.exec(stat) ?? [];
  const ticks = rest.split(' ').slice(11, 15).map(Number);
  return ticks.reduce((sum, time) => sum + time, 0) / TICKS_PER_SECOND;
}
