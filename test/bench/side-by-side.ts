/**
 * What tracing costs, side by side: `node build/test/bench/side-by-side.js [rounds] [seconds] [FILE.json]` as root, on a host without other VMs.
 *
 * Two guests leave for QEMU as fast as they can, watched by each tool in turn.
 *
 *   exits/s   of both guests, as they count themselves in their memory
 *   ratio     of them to those without the tool, which is put on and taken away every other second, as machines have moods:
 *             what the tracepoints cost the vCPUs, and what the tool takes of the CPUs that all share. The file has each round's
 *   ns/event  CPU of the tool's processes, kernel side included, per event that it got. Those that run on and on are measured for half a
 *             minute once they are warm, with two scrapes; those that have work to do at their end from start to end, which is some
 *   at ends   of that for what they take for no time at all: it is less per event in longer runs
 *   lost      events that it did not get
 *
 * Medians of the rounds (of lost: the worst). The tools take turns in each round, so that a noisy while hits all of them.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { agentTool } from './tools/agent-tool.js';
import { type Load, NO_COST, type Run, type Tool } from './tools/measure.js';
import { bpftrace, catTracePipe, EVENTS, perfRecord, perfStat, traceCmd, unread } from './tools/other-tools.js';

const LAYERS = `--tracefs.events=${EVENTS.map((event) => `kvm:${event}`).join()}`;
const COUNTS_ONLY = ['duration', 'causes', 'io', 'eventfd'].map((collector) => `--no-collector.${collector}`);
/** Its time goes to the kernel, whose code is there. */
const TEXT_WARM_UP_S = 10;

const UNTRACED = 'nothing';

const TOOLS: ReadonlyMap<string, Tool> = new Map([
  ['kvm-exit-exporter, counts only', agentTool([LAYERS, ...COUNTS_ONLY])],
  ['kvm-exit-exporter, both layers and entries', agentTool([LAYERS])],
  ['kvm-exit-exporter, everything', agentTool([])],
  ['kvm-exit-exporter, from text', agentTool([LAYERS, '--tracefs.reader=text'], TEXT_WARM_UP_S)],
  ["the kernel's buffers, unread", unread],
  ['perf stat', perfStat],
  ['bpftrace', bpftrace],
  ['perf record', perfRecord],
  ['cat trace_pipe', catTracePipe],
  ['trace-cmd record', traceCmd],
]);

interface Row {
  readonly tool: string;
  readonly exitsPerSecond: number;
  /** Of the guests' exits without any tool. */
  readonly ratio: number;
  /** The same of each round, the least first. */
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
      const run = failed.has(name) ? undefined : await attempt(name, tool, { guests, ms }, failed);
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

async function attempt(name: string, tool: Tool, load: Load, failed: Set<string>): Promise<Run | undefined> {
  try {
    return await tool(load);
  } catch (error) {
    failed.add(name);
    console.log(`${name}: does not work here: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function rowOf(tool: string, runs: readonly Run[]): Row {
  const exitsPerSecond = median(runs, (run) => run.exitsPerSecond);
  const nsPerEvent = median(runs, (run) => run.nsPerEvent);
  return {
    tool,
    exitsPerSecond: Math.round(exitsPerSecond),
    ratio: rounded(median(runs, ratioOf)),
    ratios: runs.map((run) => rounded(ratioOf(run))).sort((a, b) => a - b),
    cpuPercent: Number((100 * median(runs, ({ cpuShare }) => cpuShare)).toFixed(1)),
    nsPerEvent: Number.isNaN(nsPerEvent) ? null : Number(nsPerEvent.toFixed(1)),
    startAndEndNsPerEvent: Math.round(median(runs, (run) => run.startAndEndNsPerEvent)),
    eventsPerSecond: Math.round(median(runs, (run) => run.eventsPerSecond)),
    lost: Math.max(...runs.map(({ lost }) => lost)),
  };
}

function ratioOf({ exitsPerSecond, untraced }: Run): number {
  return exitsPerSecond / untraced;
}

function rounded(ratio: number): number {
  return Number(ratio.toFixed(4));
}

function median(runs: readonly Run[], of: (run: Run) => number): number {
  const sorted = runs.map(of).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function print(rows: readonly Row[]): void {
  console.log('| tool | exits/s | ratio | CPU % | events/s | ns/event | at ends | lost |');
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
  const machine = { cpus: availableParallelism(), kernel: release().replace(/-.*/, ''), node: process.version };
  const date = new Date().toISOString().slice(0, 10);
  const report = { date, machine, rounds: Number(rounds), secondsEach: Number(seconds), events: EVENTS, rows };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
} finally {
  await endAll();
}
