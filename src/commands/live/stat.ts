import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from '../../agent/agent.js';
import { auditPeriod } from '../../audit/audit-recording.js';
import { secondsBetween } from '../../config/option-types.js';
import type { GetOption } from '../../config/options.js';
import type { Invocation } from '../../config/parse-command-line.js';
import type { Recorded } from '../../expose/report/recorded.js';
import { problemsOf, reportJson } from '../../expose/report/report.js';
import { reportCsv } from '../../expose/report/report-csv.js';
import { reportTable } from '../../expose/report/report-table.js';
import { withoutUnknown } from '../../expose/report/shown.js';
import { vmsIn } from '../../snapshot/only-vms.js';
import { snapshotBetween } from '../../snapshot/snapshot-between.js';
import { AgentError } from '../../system/errors.js';
import { print, printableLines } from '../../system/printable.js';
import { stopSignal } from '../serving/stop-signal.js';
import { agentOptions } from './agent-options.js';
import { ProgramRun } from './program-run.js';
import { StatisticsWitness } from './statistics-witness.js';
import { wantedVms } from './wanted-vms.js';
import { withAgent } from './with-agent.js';

const DEFAULT_SECONDS = 5;
/** Time between the first reading of each vCPU's time, and the first that is compared with it. */
const SETTLE_MS = 250;
const duration = secondsBetween('100ms', '1d');
/** Addresses by VM that are counted one by one. A running agent has fewer, as each is a series. */
const MAX_ADDRESSES = 1000;

const RENDERERS = { table: reportTable, json: reportJson, csv: reportCsv };

/** Counts for a while, or as long as a program runs, and prints what `report` would print of that time. */
export async function stat({ get, operands, program }: Invocation): Promise<void> {
  const format = get('format');
  if (format === 'prometheus')
    throw new AgentError('--format=prometheus: a rate is no counter; run the agent, or choose table, json or csv');
  const length = lengthOf(operands, program);
  const { statistics, ...rest } = agentOptions(get);
  const onDemand = statistics && { ...statistics, onDemand: true };
  const options = { ...rest, statistics: onDemand, ioAddresses: MAX_ADDRESSES };
  const render = (recorded: Recorded) => RENDERERS[format](recorded, get('sort'), get('top'));
  if (program.length === 0) {
    // The first signal ends the counting, and what was counted so far is printed.
    const stop = stopSignal(() => {});
    process.once('SIGHUP', () => process.kill(process.pid, 'SIGTERM'));
    const wait = () => sleep(length * 1000, undefined, { signal: stop }).catch(() => {});
    // The answer does not wait for the kernel to remove the tracing instance.
    return await withAgent(options, async (agent) => print(render(await countDuring(wait, agent, get))));
  }
  const counted = new ProgramRun(program);
  // Standard output is the program's.
  await withAgent(options, async (agent) => {
    process.stderr.write(`\n${printableLines(render(await countDuring(() => counted.run(), agent, get)))}`);
  });
  process.exitCode = counted.end();
}

/** Seconds to count for. */
function lengthOf(operands: readonly string[], program: readonly string[]): number {
  const [given, ...more] = operands;
  if (program.length > 0) {
    if (given !== undefined)
      throw new AgentError(`stat ${given} -- ${program[0]}: give a duration or a program, not both`);
    return Number.POSITIVE_INFINITY;
  }
  if (given === undefined) return DEFAULT_SECONDS;
  const length = duration.read(given);
  if (length === undefined || more.length > 0)
    throw new AgentError(
      `stat ${operands.join(' ')}: expected ${duration.expected}; to count while a program runs: stat -- ${operands.join(' ')}`,
    );
  return length;
}

async function countDuring(wait: () => Promise<void>, agent: Agent, get: GetOption): Promise<Recorded> {
  const witness = new StatisticsWitness(agent);
  await sleep(SETTLE_MS);
  const before = await witness.takeSnapshot();
  await wait();
  const after = await witness.takeSnapshot();
  const seconds = (after.atMs - before.atMs) / 1000;
  const wanted = wantedVms(snapshotBetween(before.snapshot, after.snapshot, seconds), get('vm'), 'on this host; it');
  const vms = new Set(vmsIn(wanted));
  const isWanted = ({ vm }: { readonly vm: string }) => vms.has(vm);
  const { events, unknown_gaps } = problemsOf(wanted).lost;
  const { traced } = agent.ledger.kernelExits;
  const counted = { exits: wanted.exits, traced, hasLost: events + unknown_gaps > 0 };
  return {
    isLive: true,
    snapshot: withoutUnknown(wanted),
    time: { seconds, startSeconds: undefined, endSeconds: undefined },
    statistics: witness.growth().filter(isWanted),
    audit: auditPeriod(counted, witness.bounds().filter(isWanted)),
    undecidedExits: 0,
    disabledAdvice: get('advice.disable'),
  };
}
