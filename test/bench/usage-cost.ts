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

/** CPU time of a reading of one thread, in microseconds. */
function costOfThread(threads: readonly VcpuThread[], needsTicks: boolean): number {
  const reader = new UsageReader('/proc');
  for (const thread of threads) reader.read(thread, 0, needsTicks);
  const before = cpuMs();
  for (const thread of threads) reader.read(thread, 1000, needsTicks);
  return ((cpuMs() - before) * 1000) / threads.length;
}

async function measureRounds(threads: readonly VcpuThread[], seconds: number): Promise<void> {
  let readings = 0;
  const rounds = new UsageRounds('/proc', {
    threads: () => threads,
    needsTicks: () => true,
    add: () => readings++,
  });
  const [before, beganMs] = [cpuMs(), performance.now()];
  while (performance.now() - beganMs < seconds * 1000) {
    rounds.read(undefined, BUDGET_MS);
    await sleep(TICK_MS);
  }
  const elapsedMs = performance.now() - beganMs;
  const everySeconds = (elapsedMs / 1000 / readings) * threads.length;
  print('the reader, each thread', `every ${everySeconds.toFixed(1)} s`);
  print('the reader', `${(((cpuMs() - before) / elapsedMs) * 100).toFixed(2)} % of a CPU`);
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
  print('a reading of schedstat', `${costOfThread(threads, false).toFixed(1)} us of CPU`);
  print('a reading of schedstat, stat and wchan', `${costOfThread(threads, true).toFixed(1)} us of CPU`);
  await measureRounds(threads, seconds);
  await measureAgent(vms, seconds);
} finally {
  await endAll();
  many.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
