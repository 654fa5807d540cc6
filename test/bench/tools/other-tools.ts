/**
 * The tools that this program is compared with, on the same events: perf, bpftrace, trace-cmd, and reading trace_pipe.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TRACEFS, uniqueInstance } from '../../support/agent/start-agent.js';
import { ringBufferStats, subBufferBytes } from '../../support/guest/ring-buffers.js';
import {
  type Attachable,
  attachable,
  type Cost,
  cpuOf,
  exitsOf,
  type Load,
  measureCost,
  measureSlowdown,
  NO_COST,
  type Run,
  type Tool,
} from './measure.js';

/** Tracepoints that all tools record: exits, entries and userspace exits. */
export const EVENTS = ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit'];
const BUFFER_KIB = 16 << 10;
const SUB_BUFFER_KIB = 64;
/** A program of Node.js is compiled while it runs. */
const WARM_UP_MS = 10_000;

/**
 * A tracing instance without a reader: the cost of the kernel's ring buffers to the guests. No reader of ftrace can
 * cost less.
 */
export const unreadBuffers: Tool = (load) =>
  withInstance(EVENTS, async (name) => {
    const tracing = attachable(name);
    await tracing.detach();
    return { ...NO_COST, ...(await measureSlowdown(load, tracing)) };
  });

/** A reader that drops what it reads: see read-and-drop.ts. */
export const droppedBuffers: Tool = (load) =>
  withInstance(EVENTS, async (name, instance) => {
    makePagesLarge(instance);
    const script = join(import.meta.dirname, 'read-and-drop.js');
    const child = spawn(process.execPath, [script, instance, String(subBufferBytes(name))], { stdio: 'ignore' });
    return measureReader(load, name, child, WARM_UP_MS);
  });

/** Makes sub-buffers as large as the agent's, where the kernel can (6.8). */
export function makePagesLarge(instance: string): void {
  const file = join(instance, 'buffer_subbuf_size_kb');
  if (existsSync(file)) writeFileSync(file, String(SUB_BUFFER_KIB));
}

export const catTracePipe: Tool = (load) =>
  withInstance(EVENTS, async (name, instance) => {
    const child = spawn('sh', ['-c', `exec cat ${instance}/trace_pipe > /dev/null`], { stdio: 'ignore' });
    return measureReader(load, name, child, 1000);
  });

/** Measures a program that reads an instance all the time, after so many milliseconds, and ends it. */
async function measureReader(load: Load, instance: string, reader: ChildProcess, warmUpMs: number): Promise<Run> {
  const pid = reader.pid ?? 0;
  const counts = async () => {
    const { read, lost } = ringBufferStats(instance);
    return { events: read, lost };
  };
  try {
    await sleep(warmUpMs);
    const cost = await measureCost(pid, counts, () => sleep(load.ms));
    const tracing = attachable(instance, pid);
    await tracing.detach();
    return { ...cost, ...(await measureSlowdown(load, tracing)), lost: (await counts()).lost };
  } finally {
    await kill(reader);
  }
}

/** Calls `use` with a tracing instance in which these events of KVM are on. */
export async function withInstance<T>(
  events: readonly string[],
  use: (name: string, path: string) => Promise<T>,
): Promise<T> {
  const name = uniqueInstance();
  const path = join(TRACEFS, 'instances', name);
  mkdirSync(path);
  try {
    writeFileSync(join(path, 'buffer_size_kb'), String(BUFFER_KIB));
    for (const event of events) writeFileSync(join(path, 'events/kvm', event, 'enable'), '1');
    return await use(name, path);
  } finally {
    rmdirSync(path);
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/**
 * `perf stat` counts in the kernel, in the context of the vCPU that raises the event, so its cost shows only in the
 * guests' exits.
 */
export const perfStat: Tool = (load) => runFromStartToEnd(load, ({ work }) => `perf stat -a ${PERF_EVENTS} -- ${work}`);

/** `perf record` to a file in memory, if /dev/shm exists. */
export const perfRecord: Tool = (load) =>
  runFromStartToEnd(load, ({ folder, work }) => `perf record -a ${PERF_EVENTS} -o ${folder}/perf.data -- ${work}`);

/** bpftrace that counts by thread and reason, as this program does, but in the kernel. */
export const bpftrace: Tool = (load) =>
  runFromStartToEnd(load, ({ work }) => `bpftrace -c '${work}' -e '${BPFTRACE}' 2>&1`);

const BPFTRACE = [
  'tracepoint:kvm:kvm_exit { @kvm[tid, args->exit_reason] = count(); }',
  'tracepoint:kvm:kvm_entry { @entry[tid] = count(); }',
  'tracepoint:kvm:kvm_userspace_exit { @qemu[tid, args->reason] = count(); }',
].join(' ');

/** `trace-cmd record`, which changes the top-level settings of ftrace; not every host allows that. */
export const traceCmd: Tool = (load) =>
  runFromStartToEnd(load, ({ folder, work }) => `trace-cmd record ${PERF_EVENTS} -o ${folder}/trace.dat ${work} 2>&1`);

const PERF_EVENTS = EVENTS.map((event) => `-e kvm:${event}`).join(' ');

interface Workload {
  /** Folder for the files of the tool. */
  readonly folder: string;
  /** Command that the tool starts and traces. It prints a line when it runs, and ends when its input is closed. */
  readonly work: string;
}

/**
 * Runs a tool that has work to do at its start and end. It is measured as a whole, and once more while it traces for no
 * time.
 */
async function runFromStartToEnd(load: Load, command: (workload: Workload) => string): Promise<Run> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'side-by-side-'));
  const script = join(folder, 'work.sh');
  writeFileSync(script, 'echo on\nread line\n');
  const line = command({ folder, work: `/bin/sh ${script}` });
  try {
    const end = await start(line);
    const emptyRun = await end();
    const cost = costOfRun(await runFor(load, line), emptyRun.cpu);
    return { ...cost, ...(await measureSlowdown(load, attachableCommand(line))) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface WholeRun extends Ended {
  /** Exits of the guests meanwhile. */
  readonly exits: number;
  readonly seconds: number;
}

async function runFor({ guests, ms }: Load, line: string): Promise<WholeRun> {
  const end = await start(line);
  const before = { exits: exitsOf(guests), at: performance.now() };
  await sleep(ms);
  const exits = exitsOf(guests) - before.exits;
  const seconds = (performance.now() - before.at) / 1000;
  return { exits, seconds, ...(await end()) };
}

/** Tools that count in the kernel do not report a number of events, so for them the guests' exits are used. */
function costOfRun({ cpu, samples, exits, seconds }: WholeRun, emptyRunCpu: number): Cost {
  const events = samples ?? exits;
  return {
    cpuShare: cpu / seconds,
    nsPerEvent: samples === undefined ? Number.NaN : (cpu * 1e9) / samples,
    startAndEndNsPerEvent: samples === undefined ? 0 : (Math.min(cpu, emptyRunCpu) * 1e9) / samples,
    eventsPerSecond: events / seconds,
    lost: Math.max(0, exits - events),
  };
}

function attachableCommand(line: string): Attachable {
  let end: () => Promise<unknown>;
  return {
    async attach() {
      end = await start(line);
    },
    async detach() {
      await end();
    },
  };
}

interface Ended {
  /** CPU seconds from its start to its end. */
  readonly cpu: number;
  /** Events that the tool says it has recorded, if it does. */
  readonly samples: number | undefined;
}

/** Starts a tool and waits until it traces. Returns a function that ends it. */
async function start(command: string): Promise<() => Promise<Ended>> {
  const child = spawn('sh', ['-c', `${command}; cat /proc/$$/stat`]);
  let [stdout, stderr] = ['', ''];
  const on = new Promise<void>((resolve) =>
    child.stdout.on('data', (text) => {
      stdout += text;
      if (/^on$/m.test(stdout)) resolve();
    }),
  );
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close');
  await Promise.race([on, ended]);
  if (!/^on$/m.test(stdout)) throw new Error(stdout.split('\n')[0]?.trim());
  return async () => {
    child.stdin.end();
    await ended;
    const samples = /\((\d+) samples\)/.exec(stderr)?.[1];
    return { cpu: cpuOf(stdout), samples: samples === undefined ? undefined : Number(samples) };
  };
}
