/**
 * What tracing costs, side by side: `node build/test/bench/side-by-side.js [rounds] [seconds]` as root, on a host without other VMs.
 *
 * Two guests leave for QEMU as fast as they can, watched by each tool in turn.
 *
 *   exits/s   of both guests, as they count themselves in their memory, and their ratio to those without any tool: what the
 *             tracepoints cost the vCPUs, and what the tool takes of the CPUs that all share
 *   ns/event  CPU of the tool's processes, kernel side included, per event that it got. Of those that run on and on it is measured once
 *             they are warm; of perf, which has work to do at its end, from start to end, less what it takes for no time at all
 *   lost      events that it did not get
 *
 * Medians of the rounds. The tools take turns in each round, so that a noisy while hits all of them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS, uniqueInstance } from '../support/agent.js';
import { type RunningGuest, startGuest } from '../support/qemu.js';
import { endAll } from '../support/running.js';

/** The agent's code is compiled meanwhile. */
const WARM_UP_MS = 8000;
const SCRAPE_MS = 1000;
/** USER_HZ: the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

const EVENT_SETS = [
  ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit'],
  ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit', 'kvm_pio'],
];

interface Load {
  readonly guests: readonly RunningGuest[];
  readonly events: readonly string[];
  readonly ms: number;
}

/** What happened while a tool was watching. */
interface Run {
  readonly exitsPerSecond: number;
  readonly cpuShare: number;
  readonly nsPerEvent: number;
  readonly lost: number;
}

const TOOLS: ReadonlyMap<string, (load: Load) => Promise<Run>> = new Map([
  ['nothing', runNothing],
  ['kvm-exit-exporter', (load: Load) => runOurs(load, 'binary')],
  ['kvm-exit-exporter, text', (load: Load) => runOurs(load, 'text')],
  ['perf stat', (load: Load) => runPerf(load, ['stat'])],
  ['perf record', runPerfRecord],
  ['cat trace_pipe', runCat],
]);

/** So far: seconds of the clock and of CPU, events got and lost. */
interface Counts {
  readonly events: number;
  readonly lost: number;
}

/** Looks at the beginning and at the end of the load's time. */
async function watch({ guests, ms }: Load, pid: number, counts: () => Promise<Counts>): Promise<Run> {
  const look = async () => ({
    ...(await counts()),
    exits: exitsOf(guests),
    cpu: cpuSeconds(pid),
    at: performance.now() / 1000,
  });
  const before = await look();
  await sleep(ms);
  const after = await look();
  const seconds = after.at - before.at;
  const cpu = after.cpu - before.cpu;
  return {
    exitsPerSecond: (after.exits - before.exits) / seconds,
    cpuShare: cpu / seconds,
    nsPerEvent: (cpu * 1e9) / (after.events - before.events),
    lost: after.lost - before.lost,
  };
}

async function runNothing(load: Load): Promise<Run> {
  const run = await watch(load, process.pid, async () => ({ events: 0, lost: 0 }));
  return { ...run, cpuShare: 0, nsPerEvent: Number.NaN };
}

async function runOurs(load: Load, reader: string): Promise<Run> {
  const events = load.events.map((event) => `kvm:${event}`).join();
  const agent = await startAgent({ args: [`--tracefs.reader=${reader}`, `--tracefs.events=${events}`] });
  const scrapes = setInterval(() => agent.scrape().catch(() => {}), SCRAPE_MS);
  await sleep(WARM_UP_MS);
  const run = await watch(load, agent.process.pid ?? 0, async () => {
    const samples = await agent.scrape();
    return {
      events: samples.sum('kvm_exit_exporter_events_total'),
      lost: samples.sum('kvm_exit_exporter_lost_events_total'),
    };
  });
  clearInterval(scrapes);
  await agent.stop();
  return run;
}

async function runCat(load: Load): Promise<Run> {
  const instance = join(TRACEFS, 'instances', uniqueInstance());
  mkdirSync(instance);
  writeFileSync(join(instance, 'buffer_size_kb'), String(16 << 10));
  const child = spawn('sh', ['-c', `exec cat ${instance}/trace_pipe > /dev/null`], { stdio: 'ignore' });
  for (const event of load.events) writeFileSync(join(instance, 'events/kvm', event, 'enable'), '1');
  await sleep(1000);
  const run = await watch(load, child.pid ?? 0, async () => ({
    events: ofStats(instance, 'read events'),
    lost: ofStats(instance, 'overrun'),
  }));
  writeFileSync(join(instance, 'events/enable'), '0');
  await end(child);
  rmdirSync(instance);
  return run;
}

function ofStats(instance: string, name: string): number {
  return readdirSync(join(instance, 'per_cpu')).reduce((sum, cpu) => {
    const stats = readFileSync(join(instance, 'per_cpu', cpu, 'stats'), 'utf8');
    return sum + Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  }, 0);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** To a file in memory, if there is such a place. */
async function runPerfRecord(load: Load): Promise<Run> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'perf-record-'));
  try {
    return await runPerf(load, ['record', '-o', join(folder, 'perf.data')]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function runPerf(load: Load, args: readonly string[]): Promise<Run> {
  const { cpu: cpuForNothing } = await perf({ ...load, ms: 0 }, args);
  const { cpu, exits, seconds, samples } = await perf(load, args);
  const raised = exits * load.events.filter((event) => RAISED.includes(event)).length;
  return {
    exitsPerSecond: exits / seconds,
    cpuShare: (cpu - cpuForNothing) / seconds,
    nsPerEvent: ((cpu - cpuForNothing) * 1e9) / (samples ?? raised),
    lost: Math.max(0, raised - (samples ?? raised)),
  };
}

/** Those that every exit of these guests raises, once each. The others depend on how the host runs guests. */
const RAISED = ['kvm_userspace_exit', 'kvm_pio'];

/** From its start to its end. Its workload says when the counters are on, and ends with its input. */
async function perf({ guests, events, ms }: Load, args: readonly string[]) {
  const command = [
    'perf',
    ...args,
    '-a',
    ...events.flatMap((event) => ['-e', `kvm:${event}`]),
    '--',
    'sh',
    '-c',
    '"echo on; read line"',
  ];
  const child = spawn('sh', ['-c', `${command.join(' ')}; cat /proc/$$/stat`]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  const before = { exits: exitsOf(guests), at: performance.now() / 1000 };
  await sleep(ms);
  const exits = exitsOf(guests) - before.exits;
  const seconds = performance.now() / 1000 - before.at;
  child.stdin.end();
  await ended;
  const samples = /\((\d+) samples\)/.exec(stderr)?.[1];
  return { exits, seconds, cpu: cpuOf(stdout), samples: samples === undefined ? undefined : Number(samples) };
}

function exitsOf(guests: readonly RunningGuest[]): number {
  return guests.reduce((sum, guest) => sum + guest.rounds(), 0);
}

function cpuSeconds(pid: number): number {
  return cpuOf(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** User and system time of a process and of its children that ended: fields 14 to 17 of its stat. */
function cpuOf(stat: string): number {
  const [, rest = ''] = /\) (.*)/.exec(stat) ?? [];
  const ticks = rest.split(' ').slice(11, 15).map(Number);
  return ticks.reduce((sum, time) => sum + time, 0) / TICKS_PER_SECOND;
}

async function compare(events: readonly string[], rounds: number, ms: number): Promise<void> {
  const runs = new Map(Array.from(TOOLS.keys(), (name) => [name, [] as Run[]]));
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  await sleep(1000);
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of TOOLS) runs.get(name)?.push(await run({ guests, events, ms }));
  for (const guest of guests) await guest.kill();
  const untraced = median(runs.get('nothing') ?? [], ({ exitsPerSecond }) => exitsPerSecond);
  console.log(`\n${events.join(' ')}\n`);
  console.log('tool                       exits/s   ratio   CPU %   ns/event        lost');
  for (const [name, own] of runs) console.log(row(name, own, untraced));
}

function row(name: string, runs: readonly Run[], untraced: number): string {
  const rate = median(runs, ({ exitsPerSecond }) => exitsPerSecond);
  const cpu = 100 * median(runs, ({ cpuShare }) => cpuShare);
  const ns = median(runs, ({ nsPerEvent }) => nsPerEvent);
  return [
    name.padEnd(24),
    rate.toFixed(0).padStart(9),
    (rate / untraced).toFixed(2).padStart(7),
    cpu.toFixed(1).padStart(7),
    (Number.isNaN(ns) ? '-' : ns.toFixed(1)).padStart(10),
    String(Math.max(...runs.map(({ lost }) => lost))).padStart(11),
  ].join(' ');
}

function median(runs: readonly Run[], of: (run: Run) => number): number {
  const sorted = runs.map(of).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

process.on('uncaughtException', async (error) => {
  await endAll();
  throw error;
});

const [rounds = '3', seconds = '8'] = process.argv.slice(2);
try {
  for (const events of EVENT_SETS) await compare(events, Number(rounds), Number(seconds) * 1000);
} finally {
  await endAll();
}
