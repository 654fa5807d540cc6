/**
 * Runs the real agent with all sources and outputs for a while: a short-lived VM starts each second, one VM runs all
 * the time and one is restarted all the time, logs are rotated, the agent is scraped each second and sends OTLP, `top`
 * and the pages are open, and a second agent samples. At the end, memory, file descriptors and series must not have
 * grown, and all counts must be exact.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { warningsIn } from '../support/guest/agent-checks.js';
import { delayMs } from '../support/guest/delay.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { type Guests, hasAll, judgeAgent, judgeLogs, judgeOtlp, judgeRestarts, judgeShortLived } from './counts.js';
import { type Collected, collect, collecting } from './forced-collection.js';
import { GuestRate } from './guest-rate.js';
import { judge, judgeCollected, type Verdict } from './judge.js';
import { Audit, compareStatistics } from './kvm-statistics.js';
import {
  OBSERVE_INTERVAL_MS,
  type Observation,
  observe,
  type Row,
  scrapeUntil,
  summarize,
  VM_PREFIX,
} from './observe.js';
import { OpenPage } from './open-page.js';
import { OpenTop } from './open-top.js';
import { type OtlpTarget, startOtlpTarget } from './otlp-target.js';
import { RestartedVm } from './restarted-vm.js';
import { type RotatedLogs, rotateLogs } from './rotated-logs.js';
import { judgeEstimate, type SamplingAgent, startSamplingAgent } from './sampling-agent.js';
import { countsOf, ShortLivedVms, traceArgs } from './short-lived-vms.js';

export interface SoakReport {
  readonly minutes: number;
  readonly node: string;
  readonly rows: readonly Row[];
  /** The agent's heap after each third. */
  readonly collected: readonly Collected[];
  readonly verdicts: readonly Verdict[];
  /** The agents' log lines of the levels warn and error. */
  readonly warnings: readonly string[];
  /** Seconds for which the agent waited for a CPU. */
  readonly delayedSeconds: number;
}

const ROWS = 60;
/** The VM that runs all the time does 500 exits a second. */
const LONG_LIVED_BURSTS = { out: 0x80, times: 50, everyMs: 100 };
const LONG_LIVED = `${VM_PREFIX}long-lived`;
/** QMP socket of this VM that no agent uses. */
const OWN_SOCKET = 'own.qmp';
/** File with what the agent's heap had after each forced collection. */
const NOTES = 'collections';

interface Load {
  readonly folder: string;
  readonly agent: RunningAgent;
  readonly sampling: SamplingAgent;
  readonly otlp: OtlpTarget;
  readonly longLived: RunningGuest;
  readonly longLivedStartMs: number;
  /** Delay of the agent at the start. */
  readonly delayMs: number;
  readonly rate: GuestRate;
  readonly restarted: RestartedVm;
  readonly shortLived: ShortLivedVms;
  readonly logs: RotatedLogs;
  readonly audit: Audit;
  readonly page: OpenPage;
  readonly top: OpenTop;
  /** The agent's heap after each forced collection. */
  readonly collected: Collected[];
}

/** Runs a soak. Calls `onRow` with each row as soon as it is complete. */
export async function soak(minutes: number, onRow: (row: Row) => void = () => {}): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'soak-'));
  try {
    const load = await start(folder, minutes * 60);
    const rows = await observeAll(load, minutes * 60_000, onRow);
    await collectGarbage(load);
    const { collected } = load;
    const verdicts = [...judge(rows), judgeCollected(collected, minutes * 60), ...(await end(load))];
    const agents = [load.agent, load.sampling.agent];
    const warnings = agents.flatMap((agent) => warningsIn(agent.log()));
    const delayedSeconds = (delayMs(load.agent.process.pid) - load.delayMs) / 1000;
    for (const agent of agents) await agent.stop();
    return { minutes, node: process.version, rows, collected, verdicts, warnings, delayedSeconds };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function start(folder: string, seconds: number): Promise<Load> {
  // A third of a soak, its warm-up, has time for VMs to be forgotten.
  const graceSeconds = Math.min(60, Math.ceil(seconds / 4));
  mkdirSync(join(folder, 'sampling'));
  for (const log of ['renamed.log', 'truncated.log']) writeFileSync(join(folder, log), '');
  const otlp = await startOtlpTarget(folder);
  const grace = `--vm.grace-period=${graceSeconds}s`;
  const outputs = [`--otlp.endpoint=${otlp.endpoint}`, '--otlp.interval=5s'];
  const agent = await startAgent({
    prefix: collecting(join(folder, NOTES)),
    args: [`--qemu.log=${folder}/*.log`, `--qemu.qmp=${folder}/*.sock`, grace, ...outputs],
  });
  const sampling = await startSamplingAgent(seconds, [`--qemu.qmp=${folder}/sampling/*.sock`, grace]);
  const sockets = [`sampling/${LONG_LIVED}.sock`, OWN_SOCKET].map((name) => join(folder, name));
  const longLived = startGuest({
    name: LONG_LIVED,
    steps: [{ bursts: LONG_LIVED_BURSTS }],
    extraArgs: [
      ...traceArgs(folder, LONG_LIVED),
      ...sockets.flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]),
    ],
  });
  const rate = new GuestRate(longLived);
  return {
    folder,
    agent,
    sampling,
    otlp,
    longLived,
    longLivedStartMs: performance.now(),
    delayMs: delayMs(agent.process.pid),
    rate,
    restarted: new RestartedVm(folder),
    // A VM must be counted before 80 % of the grace period have passed, because its series are removed then.
    shortLived: new ShortLivedVms(folder, graceSeconds * 800, agent.process.pid),
    logs: rotateLogs(folder, seconds),
    audit: new Audit(LONG_LIVED),
    page: new OpenPage(agent.url, LONG_LIVED, rate),
    top: new OpenTop(agent.url, LONG_LIVED, rate),
    collected: [],
  };
}

async function observeAll(load: Load, lengthMs: number, onRow: (row: Row) => void): Promise<Row[]> {
  const { agent, sampling, top } = load;
  const [samplingPid, topPid] = [sampling.agent.process.pid ?? 0, top.pid];
  const startMs = performance.now();
  const rowMs = Math.max(lengthMs / ROWS, 5 * OBSERVE_INTERVAL_MS);
  const third = Math.floor(lengthMs / rowMs / 3);
  const rows: Row[] = [];
  let observations: Observation[] = [];
  for (let second = 1; performance.now() - startMs < lengthMs; second++) {
    load.shortLived.startOne();
    const now = await observe(agent, samplingPid, topPid);
    for (const each of [load.shortLived, load.restarted, load.audit]) each.check(now.samples);
    observations.push(now);
    const seconds = (performance.now() - startMs) / 1000;
    if (seconds * 1000 >= (rows.length + 1) * rowMs) {
      const row = summarize(observations, Math.round(seconds), load.shortLived.started);
      rows.push(row);
      // A collection as each third ends makes the thirds comparable.
      if (rows.length % third === 0) await collectGarbage(load);
      onRow(row);
      observations = [];
      load.logs.removeRotated();
      top.look();
      // The test's receiver would otherwise keep all requests in memory.
      await load.otlp.exits();
    }
    await sleep(Math.max(0, startMs + second * OBSERVE_INTERVAL_MS - performance.now()));
  }
  return rows;
}

async function collectGarbage({ folder, agent, sampling, top, collected }: Load): Promise<void> {
  for (const program of [sampling.agent.process, top]) program.kill('SIGUSR2');
  collected.push(await collect(agent.process, join(folder, NOTES)));
}

/** Ends the VMs and the logs, and judges the counts. */
async function end(load: Load): Promise<Verdict[]> {
  const { agent, sampling, longLived, restarted, shortLived, otlp } = load;
  // First of all, because the agent forgets these VMs.
  await scrapeUntil(agent, (now) => {
    shortLived.check(now);
    return shortLived.areAllChecked;
  });
  const views = [await load.top.end(), await load.page.end()];
  load.rate.stop();
  const estimate = await judgeEstimateNow(load);
  const written = await load.logs.ended();
  const delayedSeconds = (delayMs(agent.process.pid) - load.delayMs) / 1000;
  const statistics = await compareStatistics(agent, join(load.folder, OWN_SOCKET), LONG_LIVED);
  await restarted.end();
  await longLived.kill();
  const guests: Guests = { longLived: { name: LONG_LIVED, writes: longLived.writesDone() }, restarted, shortLived };
  const [samples, sampled] = await Promise.all([
    scrapeUntil(agent, (now) => hasAll(now, guests) && countsOf(now, 'renamed')[1] >= written.renamed.lines),
    scrapeUntil(sampling.agent, (now) => hasAll(now, guests)),
  ]);
  return [
    ...judgeAgent('', samples, guests),
    judgeRestarts(restarted, samples),
    judgeShortLived(shortLived),
    ...judgeLogs(samples, written.renamed, written.truncated, delayedSeconds),
    ...load.audit.verdicts(),
    statistics,
    ...judgeAgent(', with sampling', sampled, guests),
    estimate,
    await lastOtlp(otlp, guests),
    ...views,
  ];
}

async function judgeEstimateNow({ agent, sampling, longLivedStartMs }: Load): Promise<Verdict> {
  const seconds = (performance.now() - longLivedStartMs) / 1000;
  const sampled = await sampling.agent.scrape();
  return judgeEstimate(sampling, sampled, await agent.scrape(), LONG_LIVED, seconds);
}

const LAST_EXPORT_MS = 30_000;

/** The verdict on the totals that hold, or on the last ones after half a minute. */
async function lastOtlp({ name, exits }: OtlpTarget, guests: Guests): Promise<Verdict> {
  const deadlineMs = performance.now() + LAST_EXPORT_MS;
  for (;;) {
    const verdict = judgeOtlp(name, await exits(), guests);
    if (verdict.holds || performance.now() > deadlineMs) return verdict;
    await sleep(OBSERVE_INTERVAL_MS);
  }
}
