/**
 * What the agent costs at each rate of events: `node build/test/bench/cost-curve.js [rounds] [FILE.json]` as root, on a host
 * without other VMs.
 *
 * One agent, warmed up by guests at full speed; then half a minute each of no guest, of guests that sleep between bursts of exits, more and more of
 * them, and of guests without a pause. CPU is that of the whole process, kernel side included, with everything on and a scrape every 15 s. The
 * rate is that of all events that it got. Medians of the rounds (of lost: the worst).
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { needs } from '../support/requirements.js';
import { startWarm, type Warm } from './tools/agent-tool.js';
import { type Cost, SETTLE_MS } from './tools/measure.js';

const TICK_MS = 10;
/** Exits a second that are asked for: of one guest, unless two are said; undefined: without a pause. */
const STEPS: readonly { readonly guests: number; readonly exitsPerSecond?: number }[] = [
  { guests: 0 },
  ...[500, 1000, 2000, 5000, 10_000, 20_000].map((exitsPerSecond) => ({ guests: 1, exitsPerSecond })),
  { guests: 2, exitsPerSecond: 20_000 },
  { guests: 1 },
  { guests: 2 },
];

interface Point {
  readonly guests: number;
  readonly eventsPerSecond: number;
  /** CPU seconds a second. */
  readonly cpuShare: number;
  /** Null where there are no events. */
  readonly nsPerEvent: number | null;
  readonly lost: number;
}

type Step = (typeof STEPS)[number];
const FULL_SPEED: Step = { guests: 2 };

async function underLoad<T>({ guests: count, exitsPerSecond }: Step, look: () => Promise<T>): Promise<T> {
  const guests = Array.from({ length: count }, (_, index) =>
    startGuest({
      name: `curve-${index}`,
      steps: [
        exitsPerSecond === undefined
          ? { forever: { out: 0x80 } }
          : { bursts: { out: 0x80, times: (exitsPerSecond * TICK_MS) / 1000, everyMs: TICK_MS } },
      ],
    }),
  );
  try {
    await sleep(SETTLE_MS);
    return await look();
  } finally {
    for (const guest of guests) await guest.kill();
  }
}

function pointOf(guests: number, runs: readonly Cost[]): Point {
  const median = (of: (run: Cost) => number) => runs.map(of).sort((a, b) => a - b)[runs.length >> 1] ?? Number.NaN;
  const nsPerEvent = median((run) => run.nsPerEvent);
  return {
    guests,
    eventsPerSecond: Math.round(median((run) => run.eventsPerSecond)),
    cpuShare: Number(median(({ cpuShare }) => cpuShare).toFixed(5)),
    nsPerEvent: Number.isFinite(nsPerEvent) ? Number(nsPerEvent.toFixed(1)) : null,
    lost: Math.max(...runs.map(({ lost }) => lost)),
  };
}

async function curve(rounds: number): Promise<Point[]> {
  const agent: Warm = await underLoad(FULL_SPEED, () => startWarm([]));
  const runs = STEPS.map((): Cost[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [index, step] of STEPS.entries()) runs[index]?.push(await underLoad(step, agent.cost));
  return STEPS.map(({ guests }, index) => pointOf(guests, runs[index] ?? []));
}

function print(points: readonly Point[]): void {
  console.log('| guests | events/s | CPU % | ns/event | lost |\n|--:|--:|--:|--:|--:|');
  for (const { guests, eventsPerSecond, cpuShare, nsPerEvent, lost } of points)
    console.log(`| ${[guests, eventsPerSecond, (cpuShare * 100).toFixed(2), nsPerEvent ?? '-', lost].join(' | ')} |`);
}

const [rounds = '1', file] = process.argv.slice(2);
const { skip } = needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu');
if (skip !== false) console.log(skip);
else
  try {
    const points = await curve(Number(rounds));
    print(points);
    const machine = { cpus: availableParallelism(), kernel: release(), node: process.version };
    const report = { machine, rounds: Number(rounds), points };
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await endAll();
  }
