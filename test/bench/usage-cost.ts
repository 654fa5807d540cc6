/**
 * What reading the time of many vCPU threads costs: `node build/test/bench/usage-cost.js [vms] [vcpus] [seconds]`.
 *
 * Starts processes whose threads look like vCPUs and sleep. Prints the CPU time of the reader alone, without a limit
 * and with its own, and that of a whole agent that does not trace; needs root, KVM and gcc.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageReader, type VcpuThread } from '../../src/vm/usage/usage-reader.js';
import { UsageRounds } from '../../src/vm/usage/usage-rounds.js';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { ROOT } from '../support/paths.js';

/** A tick of the agent, and the time of it that it gives to the reader. */
const TICK_MS = 100;
const BUDGET_MS = 10;
const PATIENCE_MS = 120_000;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function vcpuThreads(parent: number): VcpuThread[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number);
  return children.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).flatMap((tid) => (Number(tid) === pid ? [] : [{ pid, tid: Number(tid) }])),
  );
}

/** CPU time of a reading of one thread, in microseconds: the first one, which reads all files, and a later one. */
function costOfThread(threads: readonly VcpuThread[]): readonly [first: number, later: number] {
  const reader = new UsageReader('/proc');
  const measure = (atMs: number) => {
    const before = cpuMs();
    for (const thread of threads) reader.read(thread, atMs, true);
    return ((cpuMs() - before) * 1000) / threads.length;
  };
  // The first pass makes the kernel's entries of these files, the second one looks up where the threads sleep.
  measure(0);
  return [measure(1000), measure(2000)];
}

/**
 * Measures the reader from the end of a round to the end of another, so that each round counts with the pause before
 * it. The same loop without threads takes CPU time, too, as the agent's ticks do: that of the reader is the rest.
 */
async function measureRounds(threads: readonly VcpuThread[], seconds: number): Promise<void> {
  const loop = await loopOver([], seconds / 2);
  const reader = await loopOver(threads, seconds);
  print('the reader, each thread', `every ${((reader.seconds / reader.readings) * threads.length).toFixed(1)} s`);
  print('the reader, by CPU time', `${((reader.share - loop.share) * 100).toFixed(2)} % of a CPU`);
  print('the loop around it', `${(loop.share * 100).toFixed(2)} % of a CPU`);
}

interface Loop {
  readonly seconds: number;
  readonly readings: number;
  /** CPU time of this process, as a part of the time. */
  readonly share: number;
}

async function loopOver(threads: readonly VcpuThread[], seconds: number): Promise<Loop> {
  let readings = 0;
  const rounds = new UsageRounds('/proc', {
    threads: () => threads,
    needsTicks: () => true,
    add: () => readings++,
  });
  const endOfRound = async (): Promise<void> => {
    const start = readings;
    do {
      rounds.read(undefined, BUDGET_MS);
      await sleep(TICK_MS);
    } while (threads.length > 0 && (readings === start || readings % threads.length !== 0));
  };
  // The first rounds of a program are slow, until its code is compiled.
  for (let round = 0; round < 3; round++) await endOfRound();
  const [before, beganMs, readBefore] = [cpuMs(), performance.now(), readings];
  while (performance.now() - beganMs < seconds * 1000) await endOfRound();
  const elapsedMs = performance.now() - beganMs;
  return { seconds: elapsedMs / 1000, readings: readings - readBefore, share: (cpuMs() - before) / elapsedMs };
}

async function measureAgent(vms: number, seconds: number): Promise<void> {
  const agent = await startAgent({ args: ['--no-collector.kernel'], timeoutMs: PATIENCE_MS });
  await agent.scrapeUntil('all VMs', (now) => now.of('kvm_vm_info').length >= vms, PATIENCE_MS);
  const cpu = async () => (await agent.scrape()).sum('process_cpu_seconds_total');
  await sleep(seconds * 500);
  const [before, beganMs] = [await cpu(), performance.now()];
  await sleep(seconds * 1000);
  const share = (await cpu()) - before;
  print('a whole agent, one scrape', `${((share / (performance.now() - beganMs)) * 1e5).toFixed(2)} % of a CPU`);
  await agent.stop();
}

function print(what: string, figure: string): void {
  console.log(`${what.padEnd(40)} ${figure}`);
}

const [vms = 1000, vcpus = 8, seconds = 30] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'usage-cost-'));
const program = join(folder, 'many-vcpus');
execFileSync('gcc', ['-O2', '-pthread', '-o', program, join(ROOT, 'test/bench/many-vcpus.c')]);
const many = spawn(program, [String(vms), String(vcpus)], { stdio: ['ignore', 'pipe', 'inherit'] });
try {
  await once(many.stdout, 'data');
  const threads = vcpuThreads(many.pid ?? -1);
  print('threads', String(threads.length));
  const [all, one] = costOfThread(threads);
  print('a reading of a thread with all files', `${all.toFixed(1)} us of CPU`);
  print('a reading of a thread that did not run', `${one.toFixed(1)} us of CPU`);
  await measureRounds(threads, seconds);
  await measureAgent(vms, seconds);
} finally {
  await endAll();
  many.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
