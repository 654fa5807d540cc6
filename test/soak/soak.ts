/**
 * The real agent with everything on, for a while: a VM that starts each second and ends, one that stays, logs that are rotated, a scrape a
 * second, OTLP to a receiver. What must not grow is judged in the end, and what is counted must be exact.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent } from '../support/agent/agent.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { type Receiver, startReceiver } from '../support/prometheus/otlp-receiver.js';
import type { Samples } from '../support/prometheus/samples.js';
import { judge, type Verdict } from './judge.js';
import { type Look, look, PREFIX, type Row, rowOf } from './observe.js';
import { LINES_PER_SECOND, type RotatedLogs, rotateLogs } from './rotated-logs.js';
import { countsOf, PassingVms, tracedArgs } from './short-lived-vms.js';

export interface SoakReport {
  readonly minutes: number;
  readonly node: string;
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** What the agent said above `info`. */
  readonly warnings: readonly string[];
}

const LOOK_MS = 1000;
/** On a machine that lets the agent wait for a second now and then. */
const MOST_UNNAMED = 0.01;
const ROWS = 60;
/**
 * Has V8 collect all of the agent's rubbish at SIGUSR2: by itself it does so once in half an hour, and what it has not collected looks like growth.
 */
const COLLECTS = `
  import { setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => collect());`;
/** Of the VM that stays: 500 exits a second. */
const STAYING = { out: 0x80, times: 50, everyMs: 100 };
const STAYS = `${PREFIX}stays`;

interface Load {
  readonly agent: RunningAgent;
  readonly receiver: Receiver;
  readonly staying: RunningGuest;
  readonly passing: PassingVms;
  readonly logs: RotatedLogs;
  requests: number;
}

/** `onRow` is told each row. */
export async function soak(minutes: number, onRow: (row: Row) => void = () => {}): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'soak-'));
  try {
    const load = await start(folder, minutes * 60);
    const rows = await watch(load, minutes * 60_000, onRow);
    const verdicts = [...judge(rows), ...(await end(load))];
    const warnings = load.agent.log().match(/level=(?:warn|error).*/g) ?? [];
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
    prefix: ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(COLLECTS)}`],
    args: [
      `--qemu.log=${folder}/*.log`,
      `--qemu.qmp=${folder}/*.sock`,
      `--vm.grace-period=${graceSeconds}s`,
      `--otlp.endpoint=http://127.0.0.1:${receiver.port}`,
      '--otlp.interval=5s',
    ],
  });
  const staying = startGuest({ name: STAYS, steps: [{ bursts: STAYING }], extraArgs: tracedArgs(folder, STAYS) });
  const logs = rotateLogs(folder, seconds);
  const passing = new PassingVms(folder, graceSeconds * 800);
  return { agent, receiver, staying, passing, logs, requests: 0 };
}

async function watch(load: Load, lengthMs: number, onRow: (row: Row) => void): Promise<Row[]> {
  const startMs = performance.now();
  const rowMs = Math.max(lengthMs / ROWS, 5 * LOOK_MS);
  const third = Math.floor(lengthMs / rowMs / 3);
  const rows: Row[] = [];
  let looks: Look[] = [];
  for (let second = 1; performance.now() - startMs < lengthMs; second++) {
    load.passing.startOne();
    const now = await look(load.agent);
    load.passing.check(now.samples);
    // All that is held for each request would be held in this process.
    load.requests += load.receiver.requests.splice(0).length;
    looks.push(now);
    const seconds = (performance.now() - startMs) / 1000;
    if (seconds * 1000 >= (rows.length + 1) * rowMs) {
      const row = rowOf(looks, Math.round(seconds), load.passing.started);
      rows.push(row);
      // As each third begins, so that they can be compared.
      if (rows.length % third === 0) load.agent.process.kill('SIGUSR2');
      onRow(row);
      looks = [];
      load.logs.clean();
    }
    await sleep(Math.max(0, startMs + second * LOOK_MS - performance.now()));
  }
  return rows;
}

/** Ends what is running, and judges the counts. */
async function end({ agent, staying, passing, logs, requests }: Load): Promise<Verdict[]> {
  const written = await logs.ended();
  await staying.kill();
  const ahead = (samples: Samples) => countsOf(samples, STAYS)[0] - staying.writesDone();
  const lines = (samples: Samples, vm: string) => countsOf(samples, vm)[1];
  const samples = await settled(agent, (now) => {
    passing.check(now);
    return passing.areDone && ahead(now) >= 0 && lines(now, 'renamed') >= written.renamed.lines;
  });
  const lost = samples.sum('kvm_exit_exporter_lost_events_total');
  // Of what is written between the last look and the truncation nobody can know.
  const late = written.truncated.lines - lines(samples, 'truncated');
  const verdict = (what: string, holds: boolean, figures: string): Verdict => ({ what, holds, figures });
  return [
    verdict('no event is lost', lost === 0, `${lost} lost`),
    verdict(
      'the VM that stays is counted exactly',
      // It was ended between an exit and its own counting of it, or not.
      ahead(samples) === 0 || ahead(samples) === 1,
      `${staying.writesDone()} rounds, ${countsOf(samples, STAYS)[0]} exits counted`,
    ),
    verdict(
      'the VMs that pass are counted exactly, by the kernel and by their logs',
      passing.wrong.length === 0 && passing.unnamed <= passing.started * MOST_UNNAMED,
      [`${passing.exact} of ${passing.started}, ${passing.unnamed} too short-lived for a name`, ...passing.wrong].join(
        '; ',
      ),
    ),
    verdict(
      'a log that is renamed is counted exactly',
      lines(samples, 'renamed') === written.renamed.lines,
      `${lines(samples, 'renamed')} of ${written.renamed.lines} lines, ${written.renamed.rotations} renames`,
    ),
    verdict(
      'a log that is truncated loses half a second at most each time, and nothing is counted twice',
      late >= 0 && late <= (written.truncated.rotations * LINES_PER_SECOND) / 2,
      `${late} of ${written.truncated.lines} lines lost, ${written.truncated.rotations} truncations`,
    ),
    verdict('OTLP requests arrive', requests > 0, `${requests}`),
  ];
}

const SETTLE_MS = 30_000;

/** What there is in the end, as it should be or not. */
async function settled(agent: RunningAgent, done: (samples: Samples) => boolean): Promise<Samples> {
  const deadlineMs = performance.now() + SETTLE_MS;
  for (;;) {
    const samples = await agent.scrape();
    if (done(samples) || performance.now() > deadlineMs) return samples;
    await sleep(LOOK_MS);
  }
}
