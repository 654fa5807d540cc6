/**
 * What tracing costs, side by side: `node build/test/bench/side-by-side.js [rounds] [seconds]` as root, on a host without other VMs.
 *
 * Two guests leave for QEMU as fast as they can. Each tool in turn watches them; for a while before it is measured it warms up.
 *
 *   exits/s   of both guests, as they count themselves in their memory, and their ratio to those without any tool
 *   ns/event  CPU of the whole tool, kernel side of its reads included, per event that it got
 *   lost      events that it did not get
 *
 * Medians of the rounds. The tools take turns in each round, so that a noisy while hits all of them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, TRACEFS, uniqueInstance } from '../support/agent.js';
import { type RunningGuest, startGuest } from '../support/qemu.js';

const WARM_UP_MS = 4000;
const SCRAPE_MS = 1000;
/** USER_HZ: the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

const EVENT_SETS = [
  ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit'],
  ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit', 'kvm_pio'],
];

/** Those of them that every exit of these guests raises. The others depend on how the host runs guests. */
const RAISED = ['kvm_userspace_exit', 'kvm_pio'];

/** A tool that runs: what it has got and lost so far. */
interface Tool {
  readonly pid: number;
  /** Events got and lost; undefined where the tool says so only at its end, or never. */
  counts(): Promise<{ readonly events: number; readonly lost: number } | undefined>;
  stop(): Promise<{ readonly lost: number } | undefined>;
}

type StartTool = (events: readonly string[]) => Promise<Tool | undefined>;

const TOOLS: ReadonlyMap<string, StartTool> = new Map<string, StartTool>([
  ['nothing', async () => undefined],
  ['kvm-exit-exporter', (events) => startOurs('binary', events)],
  ['kvm-exit-exporter, text', (events) => startOurs('text', events)],
  ['perf stat', (events) => startPerf(['stat'], events)],
  ['perf record', (events) => startPerf(['record', '-o', '/dev/null'], events)],
  ['cat trace_pipe', startCat],
]);

interface Figures {
  readonly exitsPerSecond: number;
  readonly cpuShare: number;
  readonly nsPerEvent: number;
  readonly lost: number;
}

async function startOurs(reader: string, events: readonly string[]): Promise<Tool> {
  const names = events.map((event) => `kvm:${event}`).join();
  const agent = await startAgent({ args: [`--tracefs.reader=${reader}`, `--tracefs.events=${names}`] });
  const scrapes = setInterval(() => void agent.scrape(), SCRAPE_MS);
  return {
    pid: agent.process.pid ?? 0,
    counts: () => ourCounts(agent),
    async stop() {
      clearInterval(scrapes);
      await agent.stop();
      return undefined;
    },
  };
}

async function ourCounts(agent: RunningAgent) {
  const samples = await agent.scrape();
  return {
    events: samples.sum('kvm_exit_exporter_events_total'),
    lost: samples.sum('kvm_exit_exporter_lost_events_total'),
  };
}

async function startPerf(args: readonly string[], events: readonly string[]): Promise<Tool> {
  const child = spawn('perf', [...args, '-a', ...events.flatMap((event) => ['-e', `kvm:${event}`])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return {
    pid: child.pid ?? 0,
    counts: async () => undefined,
    async stop() {
      await end(child, 'SIGINT');
      return { lost: Number(/lost (\d+)/i.exec(stderr)?.[1] ?? 0) };
    },
  };
}

async function startCat(events: readonly string[]): Promise<Tool> {
  const instance = join(TRACEFS, 'instances', uniqueInstance());
  mkdirSync(instance);
  writeFileSync(join(instance, 'buffer_size_kb'), String(16 << 10));
  const child = spawn('sh', ['-c', `exec cat ${instance}/trace_pipe > /dev/null`], { stdio: 'ignore' });
  for (const event of events) writeFileSync(join(instance, 'events/kvm', event, 'enable'), '1');
  return {
    pid: child.pid ?? 0,
    counts: async () => ({ events: ofStats(instance, 'read events'), lost: ofStats(instance, 'overrun') }),
    async stop() {
      writeFileSync(join(instance, 'events/enable'), '0');
      await end(child, 'SIGKILL');
      rmdirSync(instance);
      return undefined;
    },
  };
}

function ofStats(instance: string, name: string): number {
  return readdirSync(join(instance, 'per_cpu')).reduce((sum, cpu) => {
    const stats = readFileSync(join(instance, 'per_cpu', cpu, 'stats'), 'utf8');
    return sum + Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  }, 0);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function measure(
  guests: readonly RunningGuest[],
  start: StartTool,
  events: readonly string[],
  ms: number,
): Promise<Figures> {
  const tool = await start(events);
  await sleep(WARM_UP_MS);
  const look = async () => ({
    counts: await tool?.counts(),
    exits: guests.reduce((sum, guest) => sum + guest.rounds(), 0),
    cpu: tool === undefined ? 0 : cpuSeconds(tool.pid),
    at: performance.now() / 1000,
  });
  const before = await look();
  await sleep(ms);
  const after = await look();
  const atEnd = await tool?.stop();
  const seconds = after.at - before.at;
  const exits = after.exits - before.exits;
  const cpu = after.cpu - before.cpu;
  // Of these guests' exits each raises kvm_userspace_exit, and kvm_pio.
  const raised = exits * events.filter((event) => RAISED.includes(event)).length;
  const got = after.counts === undefined ? raised : after.counts.events - (before.counts?.events ?? 0);
  const lost = atEnd?.lost ?? (after.counts?.lost ?? 0) - (before.counts?.lost ?? 0);
  return { exitsPerSecond: exits / seconds, cpuShare: cpu / seconds, nsPerEvent: (cpu * 1e9) / got, lost };
}

/** User and system time of a process and of its children that ended. */
function cpuSeconds(pid: number): number {
  const [, rest = ''] = /\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
  const ticks = rest.split(' ').slice(11, 15).map(Number);
  return ticks.reduce((sum, time) => sum + time, 0) / TICKS_PER_SECOND;
}

function median(figures: readonly Figures[], of: (figures: Figures) => number): number {
  const sorted = figures.map(of).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

async function compare(events: readonly string[], rounds: number, ms: number): Promise<void> {
  console.log(`\n${events.join(' ')}\n`);
  console.log('tool                       exits/s   ratio   CPU %   ns/event        lost');
  const figures = new Map(Array.from(TOOLS.keys(), (name) => [name, [] as Figures[]]));
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  try {
    for (let round = 0; round < rounds; round++)
      for (const [name, start] of TOOLS) figures.get(name)?.push(await measure(guests, start, events, ms));
  } finally {
    for (const guest of guests) await guest.kill();
  }
  const untraced = median(figures.get('nothing') ?? [], ({ exitsPerSecond }) => exitsPerSecond);
  for (const [name, own] of figures) console.log(row(name, own, untraced));
}

function row(name: string, figures: readonly Figures[], untraced: number): string {
  const rate = median(figures, ({ exitsPerSecond }) => exitsPerSecond);
  const cpu = 100 * median(figures, ({ cpuShare }) => cpuShare);
  const ns = median(figures, ({ nsPerEvent }) => nsPerEvent);
  const lost = Math.max(...figures.map((own) => own.lost));
  return [
    name.padEnd(24),
    rate.toFixed(0).padStart(9),
    (rate / untraced).toFixed(2).padStart(7),
    cpu.toFixed(1).padStart(7),
    (Number.isFinite(ns) ? ns.toFixed(1) : '-').padStart(10),
    String(lost).padStart(11),
  ].join(' ');
}

const [rounds = '3', seconds = '5'] = process.argv.slice(2);
for (const events of EVENT_SETS) await compare(events, Number(rounds), Number(seconds) * 1000);
