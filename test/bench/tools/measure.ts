/** What one tool costs while it watches the guests: how it is measured, whatever the tool. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningGuest } from '../../support/qemu.js';

/** USER_HZ: the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

export interface Load {
  readonly guests: readonly RunningGuest[];
  readonly ms: number;
}

/** What happened while a tool was watching. */
export interface Run {
  /** Of all guests, as they count themselves. */
  readonly exitsPerSecond: number;
  /** CPU seconds of the tool per second. */
  readonly cpuShare: number;
  /** CPU of the tool per event that it got; NaN where it gets none, or does its work in the kernel on the guests' time. */
  readonly nsPerEvent: number;
  /** What of that is its start and its end, which take as long without any event; 0 for those that run on and on. */
  readonly startAndEndNsPerEvent: number;
  readonly eventsPerSecond: number;
  readonly lost: number;
}

export type Tool = (load: Load) => Promise<Run>;

/** So far. */
export interface Counts {
  readonly events: number;
  readonly lost: number;
}

/**
 * Looks at the beginning and at the end: for tools that run on and on, once they are warm.
 * @param meanwhile takes the load's time, or its own
 */
export async function watch(
  { guests, ms }: Load,
  pid: number,
  counts: () => Promise<Counts>,
  meanwhile: () => Promise<unknown> = () => sleep(ms),
): Promise<Run> {
  const look = async () => ({
    ...(await counts()),
    exits: exitsOf(guests),
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
    exitsPerSecond: (after.exits - before.exits) / seconds,
    cpuShare: cpu / seconds,
    nsPerEvent: (cpu * 1e9) / events,
    startAndEndNsPerEvent: 0,
    eventsPerSecond: events / seconds,
    lost: after.lost - before.lost,
  };
}

export function exitsOf(guests: readonly RunningGuest[]): number {
  return guests.reduce((sum, guest) => sum + guest.rounds(), 0);
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
