/**
 * A finding about exits to KVM, on a host whose KVM raises kvm_exit and kvm_entry: a guest whose code does one thing
 * too often, and the same guest in a VM that was changed as the advice says, or with code that was. The cost is
 * compared with what this script adds up itself from the text of the same trace. FINDING is the name of the finding.
 *
 * svm-advice.test.ts runs this in an emulated host. All events are enabled before the first guest starts, because
 * enabling one while vCPUs run can crash such a host.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FindingData } from '../../../src/advice/finding-data.js';
import { reportOf } from '../../support/agent/run-agent.js';
import { endAll } from '../../support/end-later.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { startRecorder } from '../../support/guest/start-recorders.js';
import { TextTrace } from '../../support/trace/text-trace.js';
import { type AddressCost, COST_EVENTS, costsByReason } from '../../support/trace/trace-costs.js';
import { vcpuThread } from '../times/vcpu-shares.js';
import { EXIT_CASES, type ExitCase, HUGE_MIB, HUGE_PAGES, type Setup, SPIN } from './exit-cases.js';

const { FINDING = '' } = process.env;
const RECORD_SECONDS = 4;
const TOLERANCE = 0.2;
const MAX_TRIES = 3;
const RUN_WITHIN_MS = 60_000;
/** Sizes of trace buffers. */
const WITNESS_KB = 24_576;
const SMALL_KB = 64;
const witness = new TextTrace(COST_EVENTS, WITNESS_KB);
/** Keeps all other events enabled; see the head of this file. */
new TextTrace(['kvm'], SMALL_KB);

interface Recorded {
  readonly findings: readonly FindingData[];
  readonly costs: ReadonlyMap<string, AddressCost>;
  readonly thread: string;
}

class DoesNotRun extends Error {}

/**
 * Waits until the vCPU has run for a second. Returns its thread id.
 * @throws DoesNotRun after {@link RUN_WITHIN_MS}
 */
async function busyThread(guest: RunningGuest): Promise<string> {
  for (const endMs = Date.now() + RUN_WITHIN_MS; Date.now() < endMs; ) {
    await sleep(200);
    assert.equal(guest.lastWords(), undefined);
    const thread = tryVcpuThread(guest.pid);
    if (thread === undefined) continue;
    const [ranNs] = readFileSync(`${thread}/schedstat`, 'utf8').split(' ');
    if (Number(ranNs) > 1e9) return thread.split('/').at(-1) ?? '';
  }
  throw new DoesNotRun();
}

/** Undefined until QEMU has created the thread. */
function tryVcpuThread(pid: number): string | undefined {
  try {
    return vcpuThread(pid);
  } catch {
    return undefined;
  }
}

/**
 * Records a guest that runs, with the program and with the witness at the same time. A guest in huge pages starts while
 * they record, because a test cannot write to its memory to let it go on. The recording goes on for its full time from
 * when that guest runs; otherwise it could have little more than the faults of its start.
 */
async function record(setup: Setup): Promise<Recorded> {
  const start = () => startGuest({ name: 'guest', ...setup });
  const early = setup.hugePages === undefined ? start() : undefined;
  if (early !== undefined) await busyThread(early);
  const folder = mkdtempSync('/tmp/record-');
  const recorder = await startRecorder('record', folder, [], ['--collector.indices']);
  witness.start();
  early?.goOn();
  const guest = early ?? start();
  const thread = await busyThread(guest);
  await sleep(RECORD_SECONDS * 1000);
  witness.stop();
  await recorder.stop();
  await guest.kill();
  const costs = costsByReason(witness.text());
  const { findings, exits } = reportOf(recorder.file);
  rmSync(folder, { recursive: true });
  assert.ok(exits.some(({ count }) => count > 0));
  return { findings: findings ?? [], costs, thread };
}

/**
 * Records a guest that does what it should. On an emulated host, one of twenty guests does not run at all, or computes
 * for seconds and never gets to its first step: the text of the trace has none of its exits. It is started again.
 * @param reason of exits that it should have; default: none
 */
async function recordRunning(setup: Setup, reason?: string): Promise<Recorded> {
  for (let tries = 1; ; tries++) {
    const recorded = await record(setup).catch((error) => {
      if (error instanceof DoesNotRun && tries < MAX_TRIES) return undefined;
      throw error;
    });
    const isRunning = recorded !== undefined && (reason === undefined || hasExits(recorded, reason));
    if (recorded !== undefined && (isRunning || tries === MAX_TRIES)) return recorded;
    console.log(`the guest did not run, and no ${reason ?? 'exit'} is in the trace`);
    assert.deepEqual(recorded?.findings ?? [], []);
    await endAll();
  }
}

function hasExits({ costs, thread }: Recorded, reason: string): boolean {
  return costs.has(`${thread} ${reason}`);
}

async function check(each: ExitCase): Promise<void> {
  const { advice, besides = [], reason, guest, cured = SPIN } = each;
  const { findings, costs, thread } = await recordRunning(guest, reason);
  const finding = findings.find((one) => one.advice === advice);
  const expected = costs.get(`${thread} ${reason}`);
  const figures = [finding?.per_second.toFixed(0), finding?.cost?.toFixed(3)];
  const expectedFigures = [expected?.perSecond.toFixed(0), expected?.seconds.toFixed(3)];
  console.log(`${advice}: rate and cost ${figures}, by the text of the trace ${expectedFigures}`);
  assert.deepEqual(findings.map((one) => one.advice).sort(), [advice, ...besides].sort());
  const ratio = (finding?.cost ?? Number.NaN) / (expected?.seconds ?? Number.NaN);
  assert.ok(Math.abs(ratio - 1) <= TOLERANCE, `${advice}: ${ratio}`);
  const after = await recordRunning(cured);
  const left = after.findings.filter((one) => !besides.includes(one.advice));
  assert.deepEqual(left, [], `by the text of the trace: ${JSON.stringify([...after.costs])}`);
  console.log(`${advice}: none in the changed VM`);
}

writeFileSync('/proc/sys/vm/nr_hugepages', String(HUGE_MIB / 2 + 8));
mkdirSync(HUGE_PAGES, { recursive: true });
spawnSync('mount', ['-t', 'hugetlbfs', 'none', HUGE_PAGES]);
const found = EXIT_CASES.find(({ advice }) => advice === FINDING);
assert.ok(found, `FINDING is one of ${EXIT_CASES.map(({ advice }) => advice)}, not ${FINDING}`);
try {
  await check(found);
} catch (error) {
  console.log(error);
  process.exitCode = 1;
} finally {
  await endAll();
}
// The events stay enabled: the host ends with this script, and on some emulated hosts a CPU has no timer by now, so
// that disabling them would never end.
process.exit();
