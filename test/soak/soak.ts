/**
 * Runs the real agent with all sources and outputs for a while: a short-lived VM starts each second, another VM runs
 * all the time, logs are rotated, the agent is scraped each second and sends OTLP to a receiver. At the end, memory,
 * file descriptors and series must not have grown, and all counts must be exact.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/start-agent.js';
import { warningsIn } from '../support/guest/agent-checks.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { type Receiver, startReceiver } from '../support/prometheus/otlp-receiver.js';
import type { Samples } from '../support/prometheus/samples.js';
import { judge, type Verdict } from './judge.js';
import { type Observation, observe, type Row, summarize, VM_PREFIX } from './observe.js';
import { LINES_PER_SECOND, type RotatedLogs, rotateLogs } from './rotated-logs.js';
import { countsOf, ShortLivedVms, traceArgs } from './short-lived-vms.js';

export interface SoakReport {
  readonly minutes: number;
  readonly node: string;
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** The agent's log lines of the levels warn and error. */
  readonly warnings: readonly string[];
}

const OBSERVE_INTERVAL_MS = 1000;
/** Share of short-lived VMs that may lack a name although the kernel shows no delay of the agent. */
const MAX_UNNAMED_SHARE = 0.01;
const ROWS = 60;
/**
 * Makes the agent run a full garbage collection at SIGUSR2. By itself V8 does that about once in half an hour, and what
 * it has not collected looks like growth.
 */
const COLLECT_ON_SIGUSR2 = `
  import { setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => collect());`;
/** The VM that runs all the time does 500 exits a second. */
const LONG_LIVED_BURSTS = { out: 0x80, times: 50, everyMs: 100 };
const LONG_LIVED = `${VM_PREFIX}long-lived`;

interface Load {
  readonly agent: RunningAgent;
  readonly receiver: Receiver;
  readonly longLived: RunningGuest;
  readonly shortLived: ShortLivedVms;
  readonly logs: RotatedLogs;
  otlpRequests: number;
}

/** Runs a soak. Calls `onRow` with each row as soon as it is complete. */
export async function soak(minutes: number, onRow: (row: Row) => void = () => {}): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'soak-'));
  try {
    const load = await start(folder, minutes * 60);
    const rows = await observeAll(load, minutes * 60_000, onRow);
    const verdicts = [...judge(rows), ...(await end(load))];
    const warnings = warningsIn(load.agent.log());
    await load.agent.stop();
    await load.receiver.stop();
    return { minutes, node: process.version, rows, verdicts, warnings };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function start(folder: string, seconds: number): Promise<Load> {
  const graceSeconds = Math.min(60, Math.ceil(seconds / 12));
  for (const log of ['renamed.log', 'truncated.log']) writeFileSync(join(folder, log), '');
  const receiver = await startReceiver();
  const agent = await startAgent({
    prefix: ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(COLLECT_ON_SIGUSR2)}`],
    args: [
      `--qemu.log=${folder}/*.log`,
      `--qemu.qmp=${folder}/*.sock`,
      `--vm.grace-period=${graceSeconds}s`,
      `--otlp.endpoint=http://127.0.0.1:${receiver.port}`,
      '--otlp.interval=5s',
    ],
  });
  const longLived = startGuest({
    name: LONG_LIVED,
    steps: [{ bursts: LONG_LIVED_BURSTS }],
    extraArgs: traceArgs(folder, LONG_LIVED),
  });
  const logs = rotateLogs(folder, seconds);
  // A VM must be counted before 80 % of the grace period have passed, because its series are removed then.
  const shortLived = new ShortLivedVms(folder, graceSeconds * 800, agent.process.pid);
  return { agent, receiver, longLived, shortLived, logs, otlpRequests: 0 };
}

async function observeAll(load: Load, lengthMs: number, onRow: (row: Row) => void): Promise<Row[]> {
  const startMs = performance.now();
  const rowMs = Math.max(lengthMs / ROWS, 5 * OBSERVE_INTERVAL_MS);
  const third = Math.floor(lengthMs / rowMs / 3);
  const rows: Row[] = [];
  let observations: Observation[] = [];
  for (let second = 1; performance.now() - startMs < lengthMs; second++) {
    load.shortLived.startOne();
    const now = await observe(load.agent);
    load.shortLived.check(now.samples);
    // The requests are removed here, or this process would keep them all in memory.
    load.otlpRequests += load.receiver.requests.splice(0).length;
    observations.push(now);
    const seconds = (performance.now() - startMs) / 1000;
    if (seconds * 1000 >= (rows.length + 1) * rowMs) {
      const row = summarize(observations, Math.round(seconds), load.shortLived.started);
      rows.push(row);
      // A collection as each third begins makes the thirds comparable.
      if (rows.length % third === 0) load.agent.process.kill('SIGUSR2');
      onRow(row);
      observations = [];
      load.logs.removeRotated();
    }
    await sleep(Math.max(0, startMs + second * OBSERVE_INTERVAL_MS - performance.now()));
  }
  return rows;
}

/** Ends the VMs and the logs, and judges the counts. */
async function end({ agent, longLived, shortLived, logs, otlpRequests }: Load): Promise<Verdict[]> {
  const written = await logs.ended();
  await longLived.kill();
  const ahead = (samples: Samples) => countsOf(samples, LONG_LIVED)[0] - longLived.writesDone();
  const lines = (samples: Samples, vm: string) => countsOf(samples, vm)[1];
  const samples = await scrapeUntil(agent, (now) => {
    shortLived.check(now);
    return shortLived.areAllChecked && ahead(now) >= 0 && lines(now, 'renamed') >= written.renamed.lines;
  });
  const lost = samples.sum('kvm_exit_exporter_lost_events_total');
  // Lines that are written between the agent's last read and a truncation are gone.
  const truncated = written.truncated.lines - lines(samples, 'truncated');
  const verdict = (criterion: string, holds: boolean, figures: string): Verdict => ({ criterion, holds, figures });
  return [
    verdict('no event is lost', lost === 0, `${lost} lost`),
    verdict(
      'the VM that runs all the time is counted exactly',
      // The guest counts a write after its exit, so it may have been killed in between.
      ahead(samples) === 0 || ahead(samples) === 1,
      `${longLived.writesDone()} port writes, ${countsOf(samples, LONG_LIVED)[0]} exits counted`,
    ),
    verdict(
      "the short-lived VMs are counted exactly, in the kernel's trace and in their logs",
      shortLived.wrong.length === 0 &&
        shortLived.unnamed - shortLived.delayed <= shortLived.started * MAX_UNNAMED_SHARE,
      [
        `${shortLived.exact} of ${shortLived.started}, ${shortLived.unnamed} without a name`,
        `${shortLived.delayed} of these while the agent waited for a CPU`,
        ...shortLived.wrong,
      ].join('; '),
    ),
    verdict(
      'a log rotated by renaming is counted exactly',
      lines(samples, 'renamed') === written.renamed.lines,
      `${lines(samples, 'renamed')} of ${written.renamed.lines} lines, ${written.renamed.rotations} renames`,
    ),
    verdict(
      'a log rotated by truncating loses at most half a second of lines each time, and no line is counted twice',
      truncated >= 0 && truncated <= (written.truncated.rotations * LINES_PER_SECOND) / 2,
      `${truncated} of ${written.truncated.lines} lines lost, ${written.truncated.rotations} truncations`,
    ),
    verdict('OTLP requests arrive', otlpRequests > 0, `${otlpRequests} requests`),
  ];
}

const FINAL_COUNTS_MS = 30_000;

/**
 * The scrape for which `done` is true, or the last one after half a minute, for the verdicts to show what is wrong with
 * it.
 */
async function scrapeUntil(agent: RunningAgent, done: (samples: Samples) => boolean): Promise<Samples> {
  const deadlineMs = performance.now() + FINAL_COUNTS_MS;
  for (;;) {
    const samples = await agent.scrape();
    if (done(samples) || performance.now() > deadlineMs) return samples;
    await sleep(OBSERVE_INTERVAL_MS);
  }
}
