/**
 * The agent's CPU time by the rate of events: `node build/test/bench/cost-by-events.js [rounds] [FILE.json]` as root,
 * on a host without other VMs.
 *
 * One agent is warmed up by guests at full speed. Then it is measured for half a minute each with no guest, with guests
 * that halt between bursts of exits, at increasing rates, and with guests that never halt. All collectors are on, and
 * it is scraped every 15 s. CPU time is that of the whole process, including its time in the kernel. The results are
 * medians of the rounds, or for lost events the maximum.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';
import { needs } from '../support/requirements.js';
import { startWarmAgent } from './tools/agent-tool.js';
import { type Cost, describeMachine, SETTLE_MS } from './tools/measure.js';

const TICK_MS = 10;
interface Load {
  readonly guests: number;
  /** Port writes per second of each guest; undefined: as many as it can. */
  readonly exitsPerSecond?: number;
}

const LOADS: readonly Load[] = [
  { guests: 0 },
  ...[500, 1000, 2000, 5000, 10_000, 20_000].map((exitsPerSecond) => ({ guests: 1, exitsPerSecond })),
  { guests: 2, exitsPerSecond: 20_000 },
  { guests: 1 },
  { guests: 2 },
];

interface Point {
  readonly guests: number;
  readonly eventsPerSecond: number;
  /** CPU seconds per second. */
  readonly cpuShare: number;
  /** Null without guests: the few events are not what the agent works for then. */
  readonly nsPerEvent: number | null;
  readonly lost: number;
}

const FULL_SPEED: Load = { guests: 2 };

/** Calls `measure` while guests run. */
async function underLoad<T>({ guests: count, exitsPerSecond }: Load, measure: () => Promise<T>): Promise<T> {
  const guests = Array.from({ length: count }, (_, index) =>
    startGuest({
      name: `bench-${index}`,
      steps: [
        exitsPerSecond === undefined
          ? { forever: { out: 0x80 } }
          : { bursts: { out: 0x80, times: (exitsPerSecond * TICK_MS) / 1000, everyMs: TICK_MS } },
      ],
    }),
  );
  try {
    await sleep(SETTLE_MS);
    return await measure();
  } finally {
    for (const guest of guests) await guest.kill();
  }
}

function pointOf(guests: number, runs: readonly Cost[]): Point {
  const medianOf = (read: (run: Cost) => number) => median(runs.map(read));
  const nsPerEvent = medianOf((run) => run.nsPerEvent);
  return {
    guests,
    eventsPerSecond: Math.round(medianOf((run) => run.eventsPerSecond)),
    cpuShare: Number(medianOf(({ cpuShare }) => cpuShare).toFixed(5)),
    nsPerEvent: guests > 0 ? Number(nsPerEvent.toFixed(1)) : null,
    lost: Math.max(...runs.map(({ lost }) => lost)),
  };
}

async function measureAll(rounds: number): Promise<Point[]> {
  const agent = await underLoad(FULL_SPEED, () => startWarmAgent([]));
  const runs = LOADS.map((): Cost[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [index, load] of LOADS.entries()) runs[index]?.push(await underLoad(load, agent.measureCost));
  return LOADS.map(({ guests }, index) => pointOf(guests, runs[index] ?? []));
}

function print(points: readonly Point[]): void {
  console.log("The agent's CPU time by the rate of events\n");
  console.log('| guests | events/s | CPU % of one core | CPU ns per event | events lost |\n|--:|--:|--:|--:|--:|');
  for (const { guests, eventsPerSecond, cpuShare, nsPerEvent, lost } of points)
    console.log(`| ${[guests, eventsPerSecond, (cpuShare * 100).toFixed(2), nsPerEvent ?? '-', lost].join(' | ')} |`);
}

const [rounds = '1', file] = process.argv.slice(2);
const { skip } = needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu');
if (skip !== false) console.log(skip);
else
  try {
    const points = await measureAll(Number(rounds));
    print(points);
    const report = { machine: describeMachine(), rounds: Number(rounds), points };
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await endAll();
  }
