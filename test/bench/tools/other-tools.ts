/** What people use today, on the same events: perf, bpftrace, trace-cmd, and reading trace_pipe. */
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
import { TRACEFS, uniqueInstance } from '../../support/agent/agent.js';
import {
  alternate,
  type Cost,
  costOf,
  cpuOf,
  exitsOf,
  type Load,
  NO_COST,
  type Run,
  type Switch,
  switchOf,
  type Tool,
} from './measure.js';

/** Both layers, and entries. */
export const EVENTS = ['kvm_exit', 'kvm_entry', 'kvm_userspace_exit'];
const BUFFER_KIB = 16 << 10;

/** What the kernel's ring buffers cost the guests, before anybody reads them: no reader of ftrace can cost less. */
export const unread: Tool = (load) =>
  withInstance(async (name) => {
    const onAndOff = switchOf(name);
    await onAndOff.off();
    return { ...NO_COST, ...(await alternate(load, onAndOff)) };
  });

export const catTracePipe: Tool = (load) =>
  withInstance(async (name, instance) => {
    const child = spawn('sh', ['-c', `exec cat ${instance}/trace_pipe > /dev/null`], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    const counts = async () => ({ events: ofStats(instance, 'read events'), lost: ofStats(instance, 'overrun') });
    try {
      await sleep(1000);
      const cost = await costOf(pid, counts, () => sleep(load.ms));
      const onAndOff = switchOf(name, pid);
      await onAndOff.off();
      const slowdown = await alternate(load, onAndOff);
      return { ...cost, ...slowdown, lost: (await counts()).lost };
    } finally {
      await kill(child);
    }
  });

/** Its events are on. */
async function withInstance<T>(use: (name: string, path: string) => Promise<T>): Promise<T> {
  const name = uniqueInstance();
  const path = join(TRACEFS, 'instances', name);
  mkdirSync(path);
  try {
    writeFileSync(join(path, 'buffer_size_kb'), String(BUFFER_KIB));
    for (const event of EVENTS) writeFileSync(join(path, 'events/kvm', event, 'enable'), '1');
    return await use(name, path);
  } finally {
    rmdirSync(path);
  }
}

function ofStats(instance: string, name: string): number {
  return readdirSync(join(instance, 'per_cpu')).reduce((sum, cpu) => {
    const stats = readFileSync(join(instance, 'per_cpu', cpu, 'stats'), 'utf8');
    return sum + Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  }, 0);
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Counts in the kernel, on the time of whoever raises the event: its cost shows in the guests' exits only. */
export const perfStat: Tool = (load) => fromStartToEnd(load, ({ work }) => `perf stat -a ${PERF_EVENTS} -- ${work}`);

/** To a file in memory, if there is such a place. */
export const perfRecord: Tool = (load) =>
  fromStartToEnd(load, ({ folder, work }) => `perf record -a ${PERF_EVENTS} -o ${folder}/perf.data -- ${work}`);

/** By thread and reason, as this program counts; also in the kernel. */
export const bpftrace: Tool = (load) =>
  fromStartToEnd(load, ({ work }) => `bpftrace -c '${work}' -e '${BPFTRACE}' 2>&1`);

const BPFTRACE = [
  'tracepoint:kvm:kvm_exit { @kvm[tid, args->exit_reason] = count(); }',
  'tracepoint:kvm:kvm_entry { @entry[tid] = count(); }',
  'tracepoint:kvm:kvm_userspace_exit { @qemu[tid, args->reason] = count(); }',
].join(' ');

/** It wants to change the host's ftrace, which not every host allows. */
export const traceCmd: Tool = (load) =>
  fromStartToEnd(load, ({ folder, work }) => `trace-cmd record ${PERF_EVENTS} -o ${folder}/trace.dat ${work} 2>&1`);

const PERF_EVENTS = EVENTS.map((event) => `-e kvm:${event}`).join(' ');

interface Place {
  /** For its files. */
  readonly folder: string;
  /** The command to watch: says when it runs, and ends with its input. */
  readonly work: string;
}

/** These have work to do at their start and end: measured as a whole, and once more for no time at all. */
async function fromStartToEnd(load: Load, command: (place: Place) => string): Promise<Run> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'side-by-side-'));
  const script = join(folder, 'work.sh');
  writeFileSync(script, 'echo on\nread line\n');
  const line = command({ folder, work: `/bin/sh ${script}` });
  try {
    const end = await start(line);
    const forNothing = await end();
    const cost = costOfWhole(await watchWhole(load, line), forNothing.cpu);
    return { ...cost, ...(await alternate(load, switchOfCommand(line))) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Whole extends Ended {
  readonly exits: number;
  readonly seconds: number;
}

async function watchWhole({ guests, ms }: Load, line: string): Promise<Whole> {
  const end = await start(line);
  const before = { exits: exitsOf(guests), at: performance.now() };
  await sleep(ms);
  const exits = exitsOf(guests) - before.exits;
  const seconds = (performance.now() - before.at) / 1000;
  return { exits, seconds, ...(await end()) };
}

/** Who counts in the kernel says no number of events, so these are the guests' exits. */
function costOfWhole({ cpu, samples, exits, seconds }: Whole, cpuForNothing: number): Cost {
  const events = samples ?? exits;
  return {
    cpuShare: cpu / seconds,
    nsPerEvent: samples === undefined ? Number.NaN : (cpu * 1e9) / samples,
    startAndEndNsPerEvent: samples === undefined ? 0 : (Math.min(cpu, cpuForNothing) * 1e9) / samples,
    eventsPerSecond: events / seconds,
    lost: Math.max(0, exits - events),
  };
}

function switchOfCommand(line: string): Switch {
  let end: () => Promise<unknown>;
  return {
    async on() {
      end = await start(line);
    },
    async off() {
      await end();
    },
  };
}

interface Ended {
  /** Seconds, from its start to its end. */
  readonly cpu: number;
  readonly samples: number | undefined;
}

/** Resolves once it watches, to what ends it. */
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
