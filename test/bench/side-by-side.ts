/**
 * The cost of tracing, tool by tool: `node build/test/bench/side-by-side.js [rounds] [seconds] [FILE.json]` as root, on
 * a host without other VMs.
 *
 * Two guests exit to QEMU as fast as they can while one tool after another traces them.
 *
 *   exits/s         exits of both guests, which they count in their memory
 *   of untraced     the same as a share of the exits without the tool. The tool is attached and detached every other
 *                   second, because the speed of a machine changes. What is missing to 1 is the cost of the tracepoints
 *                   and the CPU time that the tool takes from the guests. FILE.json has the share of each round
 *   ns per event    CPU time of the tool's processes, including the kernel side, per event that it got. Tools that run
 *                   all the time are measured for half a minute after a warm-up, with two scrapes. Tools that process
 *                   events when they end are measured from start to end, for the given number of seconds
 *   start and end   the part of that which such a tool needs even if it traces for no time
 *   lost            events that the tool did not get
 *
 * The results are medians of the rounds, or for lost events the maximum. In each round all tools take their turn, so
 * that a slow phase of the machine affects all of them.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';
import { agentTool } from './tools/agent-tool.js';
import { describeMachine, type Load, NO_COST, type Run, type Tool } from './tools/measure.js';
import {
  bpftrace,
  catTracePipe,
  droppedBuffers,
  EVENTS,
  perfRecord,
  perfStat,
  traceCmd,
  unreadBuffers,
} from './tools/other-tools.js';

const BOTH_LAYERS = `--tracefs.events=${EVENTS.map((event) => `kvm:${event}`).join()}`;
const COUNTS_ONLY = ['duration', 'causes', 'io', 'eventfd'].map((collector) => `--no-collector.${collector}`);
/** The text reader spends its time in the kernel, whose code needs no warm-up. */
const TEXT_WARM_UP_S = 10;

const UNTRACED = 'nothing';

const TOOLS: ReadonlyMap<string, Tool> = new Map([
  ['kvm-exit-exporter, counts only', agentTool([BOTH_LAYERS, ...COUNTS_ONLY])],
  ['kvm-exit-exporter, both layers and entries', agentTool([BOTH_LAYERS])],
  ['kvm-exit-exporter, everything', agentTool([])],
  ['kvm-exit-exporter, from text', agentTool([BOTH_LAYERS, '--tracefs.reader=text'], TEXT_WARM_UP_S)],
  ["the kernel's buffers, unread", unreadBuffers],
  ["the kernel's buffers, read and dropped", droppedBuffers],
  ['perf stat', perfStat],
  ['bpftrace', bpftrace],
  ['perf record', perfRecord],
  ['cat trace_pipe', catTracePipe],
  ['trace-cmd record', traceCmd],
]);

interface Row {
  readonly tool: string;
  readonly exitsPerSecond: number;
  /** Exits as a share of those without the tool. */
  readonly ratio: number;
  /** The same for each round, in ascending order. */
  readonly ratios: readonly number[];
  readonly cpuPercent: number;
  readonly nsPerEvent: number | null;
  readonly startAndEndNsPerEvent: number;
  readonly eventsPerSecond: number;
  readonly lost: number;
}

async function compare(rounds: number, ms: number): Promise<readonly Row[]> {
  const runs = new Map<string, Run[]>();
  const failed = new Set<string>();
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  await sleep(1000);
  for (let round = 0; round < rounds; round++)
    for (const [name, tool] of TOOLS) {
      const run = failed.has(name) ? undefined : await runTool(name, tool, { guests, ms }, failed);
      if (run === undefined) continue;
      runs.set(name, [...(runs.get(name) ?? []), run]);
      console.error(`round ${round + 1}: ${JSON.stringify(rowOf(name, [run]))}`);
    }
  for (const guest of guests) await guest.kill();
  const untraced = [...runs.values()]
    .flat()
    .map(({ untraced }) => ({ ...NO_COST, exitsPerSecond: untraced, untraced }));
  return Array.from([[UNTRACED, untraced] as const, ...runs], ([name, own]) => rowOf(name, own));
}

/** Runs a tool. A tool that fails is reported, and left out from then on. */
async function runTool(name: string, tool: Tool, load: Load, failed: Set<string>): Promise<Run | undefined> {
  try {
    return await tool(load);
  } catch (error) {
    failed.add(name);
    console.log(`${name} does not work on this machine: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function rowOf(tool: string, runs: readonly Run[]): Row {
  const medianOf = (read: (run: Run) => number) => median(runs.map(read));
  const nsPerEvent = medianOf((run) => run.nsPerEvent);
  return {
    tool,
    exitsPerSecond: Math.round(medianOf((run) => run.exitsPerSecond)),
    ratio: rounded(medianOf(ratioOf)),
    ratios: runs.map((run) => rounded(ratioOf(run))).sort((a, b) => a - b),
    cpuPercent: Number((100 * medianOf(({ cpuShare }) => cpuShare)).toFixed(1)),
    nsPerEvent: Number.isNaN(nsPerEvent) ? null : Number(nsPerEvent.toFixed(1)),
    startAndEndNsPerEvent: Math.round(medianOf((run) => run.startAndEndNsPerEvent)),
    eventsPerSecond: Math.round(medianOf((run) => run.eventsPerSecond)),
    lost: Math.max(...runs.map(({ lost }) => lost)),
  };
}

function ratioOf({ exitsPerSecond, untraced }: Run): number {
  return exitsPerSecond / untraced;
}

function rounded(ratio: number): number {
  return Number(ratio.toFixed(4));
}

function print(rows: readonly Row[]): void {
  console.log('The cost of tracing, tool by tool: two guests that exit to QEMU as fast as they can\n');
  console.log(
    '| tool | exits/s | of untraced | CPU % | events/s | CPU ns per event | of it at start and end | events lost |',
  );
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|');
  for (const row of rows) {
    const { tool, exitsPerSecond, cpuPercent, eventsPerSecond, startAndEndNsPerEvent, lost } = row;
    const cells = [tool, exitsPerSecond, row.ratio.toFixed(3), cpuPercent, eventsPerSecond, row.nsPerEvent ?? '-'];
    console.log(`| ${[...cells, startAndEndNsPerEvent, lost].join(' | ')} |`);
  }
}

const [rounds = '5', seconds = '8', file] = process.argv.slice(2);
try {
  const rows = await compare(Number(rounds), Number(seconds) * 1000);
  print(rows);
  const date = new Date().toISOString().slice(0, 10);
  const report = {
    date,
    machine: describeMachine(),
    rounds: Number(rounds),
    secondsEach: Number(seconds),
    events: EVENTS,
    rows,
  };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
} finally {
  await endAll();
}
