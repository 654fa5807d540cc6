import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, statusOf } from '../support/agent/web-agent.js';
import { endLater } from '../support/end-later.js';
import { MAIN } from '../support/paths.js';
import { Samples } from '../support/prometheus/samples.js';
import { type Attack, MAX_HEALTHY_SECONDS, MAX_MEMORY, MAX_STALL_SECONDS, type Target } from './attack.js';

export interface Outcome {
  /** Peak of the agent's resident memory, in bytes. */
  readonly memory: number;
  /** The agent's own metric; NaN if it does not answer. */
  readonly stallSeconds: number;
  /** Longest time of a health check. */
  readonly healthySeconds: number;
  readonly checks: number;
  readonly problems: readonly string[];
}

const START_MS = 20_000;
/** Time between the start and the attack, in which the agent loads and compiles its code. */
const WARM_UP_MS = 2000;
const CHECK_INTERVAL_MS = 100;
const ATTACKER = join(import.meta.dirname, 'attacker.js');
/** The agent has priority, as on a host whose other processes attack. */
const ATTACKER_NICE = 5;

/** Runs one attack against an agent of its own. */
export async function runAttack(attack: Attack, seconds: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'attack-'));
  endLater(async () => rmSync(folder, { recursive: true, force: true }));
  const args = (await attack.prepare?.(folder)) ?? [];
  const { agent, target } = await startAgent(attack.command, args);
  const headers = attack.authorization === undefined ? {} : { authorization: attack.authorization };
  const healthy = () => statusOf(`${target.url}/-/healthy`, { headers, timeout: 10_000 });
  await healthy();
  await sleep(WARM_UP_MS);

  const attacker = startProcess(process.execPath, [ATTACKER, attack.name, JSON.stringify(target)]);
  if (attacker.pid !== undefined) setPriority(attacker.pid, ATTACKER_NICE);
  const endMs = performance.now() + seconds * 1000;
  const problems = new Set<string>();
  const checked = sleep(1000).then(() => attack.check?.(target));
  let [healthySeconds, checks] = [0, 0];
  while (performance.now() < endMs) {
    const startMs = performance.now();
    const status = await healthy();
    checks++;
    healthySeconds = Math.max(healthySeconds, (performance.now() - startMs) / 1000);
    if (status !== 200) problems.add(`/-/healthy: ${status}`);
    await sleep(CHECK_INTERVAL_MS);
  }
  const problem = await checked;
  if (problem !== undefined) problems.add(problem);
  attacker.kill('SIGTERM');

  const memory = agent.exitCode === null ? peakMemory(target.pid) : Number.NaN;
  const stallSeconds = await longestStall(target, headers);
  if (agent.exitCode !== null || agent.signalCode !== null) problems.add('the agent has ended');
  if (!(memory <= MAX_MEMORY)) problems.add(`more than ${MAX_MEMORY / 1e6} MB`);
  if (!(stallSeconds <= MAX_STALL_SECONDS)) problems.add(`a stall of more than ${MAX_STALL_SECONDS} s`);
  if (healthySeconds > MAX_HEALTHY_SECONDS) problems.add(`/-/healthy took more than ${MAX_HEALTHY_SECONDS} s`);
  return { memory, stallSeconds, healthySeconds, checks, problems: [...problems] };
}

async function startAgent(
  command: string,
  args: readonly string[],
): Promise<{ readonly agent: ChildProcess; readonly target: Target }> {
  const words = [process.execPath, MAIN, command, '--web.listen-address=127.0.0.1:0', ...args];
  const agent = startProcess('sh', ['-c', 'ulimit -n 1024; exec "$0" "$@"', ...words]);
  let log = '';
  agent.stderr?.on('data', (text) => {
    // A log that an attack fills is not kept.
    if (log.length < 100_000) log += text;
  });
  for (const endMs = performance.now() + START_MS; ; await sleep(20)) {
    const url = /url=(https?:\/\/[^/\s]+)\//.exec(log)?.[1];
    if (url !== undefined) return { agent, target: { pid: agent.pid ?? 0, port: Number(new URL(url).port), url } };
    if (agent.exitCode !== null || performance.now() > endMs) throw new Error(`the agent does not serve:\n${log}`);
  }
}

function startProcess(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

function peakMemory(pid: number): number {
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function longestStall({ url }: Target, headers: Record<string, string>): Promise<number> {
  const answer = await ask(`${url}/metrics`, { headers, timeout: 20_000 });
  if (typeof answer === 'string' || answer.status !== 200) return Number.NaN;
  return new Samples(answer.body.toString()).sum('kvm_exit_exporter_event_loop_max_stall_seconds');
}
