import { mkdtempSync, rmSync } from 'node:fs';
import { getPriority, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, statusOf } from '../support/agent/web-agent.js';
import { WorkTimer } from '../support/cpu-wait.js';
import { endLater } from '../support/end-later.js';
import { Samples } from '../support/prometheus/samples.js';
import { AgentProcess, startProcess } from './agent-process.js';
import {
  type Attack,
  MAX_END_SECONDS,
  MAX_HEALTHY_SECONDS,
  MAX_MEMORY,
  MAX_WORK_SECONDS,
  type Target,
} from './attack.js';

export interface Outcome {
  /** Peak of the agent's resident memory, in bytes. */
  readonly memory: number;
  /** Longest stall and work of the event loop, by the agent's own metrics; NaN if it does not answer. */
  readonly stallSeconds: number;
  readonly workSeconds: number;
  /** Longest time of a health check: without waits for a CPU, and by the clock. */
  readonly healthySeconds: number;
  readonly healthyClockSeconds: number;
  readonly checks: number;
  readonly endSeconds: number;
  readonly problems: readonly string[];
}

/** Time between the start and the attack, in which the agent loads and compiles its code. */
const WARM_UP_MS = 2000;
const CHECK_INTERVAL_MS = 100;
/** Long, because the machine may let the agent wait for a CPU for most of it. */
const HEALTHY_TIMEOUT_MS = 30_000;
/** A scrape just after the attack still has the agent's backlog before it. */
const SCRAPE_TIMEOUT_MS = 20_000;
const CHECK_TIMEOUT_MS = 30_000;
/** Time for the attacker to end what it has started. */
const ATTACKER_END_MS = 3000;
const ATTACKER = join(import.meta.dirname, 'attacker.js');
/** How much nicer the attacker is: the agent has priority, as on a host whose other processes attack. */
const ATTACKER_NICE = 5;

/** Runs one attack against an agent of its own. */
export async function runAttack(attack: Attack, seconds: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'attack-'));
  endLater(async () => rmSync(folder, { recursive: true, force: true }));
  const args = (await attack.prepare?.(folder)) ?? [];
  const agent = await AgentProcess.start(attack.command, args);
  const url = agent.url ?? '';
  const target: Target = { pid: agent.pid, port: Number(new URL(url).port), url, folder };
  const headers = attack.authorization === undefined ? {} : { authorization: attack.authorization };
  const healthy = () =>
    statusOf(`${url}/-/healthy`, { headers, signal: AbortSignal.timeout(HEALTHY_TIMEOUT_MS), ...LOCAL });
  await healthy();
  await sleep(WARM_UP_MS);

  const attacker = startProcess(process.execPath, [ATTACKER, attack.name, JSON.stringify(target)]);
  setPriority(attacker.pid ?? 0, Math.min(19, getPriority() + ATTACKER_NICE));
  const endMs = performance.now() + seconds * 1000;
  const problems = new Set<string>();
  const checked = sleep((seconds * 1000) / 2).then(() => inTime(attack.check?.(target)));
  let [healthySeconds, healthyClockSeconds, checks] = [0, 0, 0];
  while (performance.now() < endMs && !agent.hasEnded) {
    const [timer, startMs] = [new WorkTimer(agent.pid), performance.now()];
    const status = await healthy();
    healthySeconds = Math.max(healthySeconds, timer.seconds);
    healthyClockSeconds = Math.max(healthyClockSeconds, (performance.now() - startMs) / 1000);
    checks++;
    if (status !== 200) problems.add(`/-/healthy: ${status}`);
    await sleep(CHECK_INTERVAL_MS);
  }
  note(problems, await checked);
  if (attacker.exitCode !== null) problems.add(`the attacker has ended with ${attacker.exitCode}`);
  attacker.kill('SIGTERM');
  for (let waitedMs = 0; attacker.exitCode === null && waitedMs < ATTACKER_END_MS; waitedMs += 20) await sleep(20);
  note(problems, await inTime(attack.checkAfter?.(target)));

  const memory = agent.peakMemory;
  const { stallSeconds, workSeconds } = await longestStall(target, headers);
  if (agent.hasEnded) problems.add(`the agent has ended:\n${agent.lastLines}`);
  const endSeconds = await agent.end();
  if (!(memory <= MAX_MEMORY)) problems.add(`more than ${MAX_MEMORY / 1e6} MB`);
  if (!(workSeconds <= MAX_WORK_SECONDS)) problems.add(`work of more than ${MAX_WORK_SECONDS} s without a pause`);
  if (healthySeconds > MAX_HEALTHY_SECONDS) problems.add(`/-/healthy took more than ${MAX_HEALTHY_SECONDS} s`);
  if (!(endSeconds <= MAX_END_SECONDS)) problems.add(`it took more than ${MAX_END_SECONDS} s to end`);
  return {
    memory,
    stallSeconds,
    workSeconds,
    healthySeconds,
    healthyClockSeconds,
    checks,
    endSeconds,
    problems: [...problems],
  };
}

/** The suite's own requests verify no certificate, which is one that it has made. */
const LOCAL = { rejectUnauthorized: false };

function note(problems: Set<string>, problem: string | undefined): void {
  if (problem !== undefined) problems.add(problem);
}

async function inTime(check: Promise<string | undefined> | undefined): Promise<string | undefined> {
  const late = sleep(CHECK_TIMEOUT_MS, 'a check did not end in time', { ref: false });
  return Promise.race([check, late]);
}

async function longestStall(
  { url }: Target,
  headers: Record<string, string>,
): Promise<Pick<Outcome, 'stallSeconds' | 'workSeconds'>> {
  const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
  const scrape = () => ask(`${url}/metrics`, { headers, signal, ...LOCAL });
  let answer = await scrape();
  // The attacker's scrapes count against the limit of concurrent ones until their connections are closed.
  while (typeof answer !== 'string' && answer.status === 503 && !signal.aborted) {
    await sleep(CHECK_INTERVAL_MS);
    answer = await scrape();
  }
  if (typeof answer === 'string' || answer.status !== 200) return { stallSeconds: Number.NaN, workSeconds: Number.NaN };
  const samples = new Samples(answer.body.toString());
  return {
    stallSeconds: samples.sum('kvm_exit_exporter_event_loop_max_stall_seconds'),
    workSeconds: samples.sum('kvm_exit_exporter_event_loop_max_work_seconds'),
  };
}
