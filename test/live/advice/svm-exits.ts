/**
 * Findings about exits to KVM, on a host whose KVM raises kvm_exit and kvm_entry: guests whose code does one thing too
 * often, and the same guests in a VM that was changed as the advice says, or with code that was. Costs are compared
 * with figures that this script adds up itself from the text of the same trace.
 *
 * svm-advice.test.ts runs this in an emulated host. Arguments: the findings to look at; default: all. All events are enabled before the first guest starts, because
 * enabling one while vCPUs run can crash such a host.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FindingData } from '../../../src/advice/finding-data.js';
import { reportOf } from '../../support/agent/run-agent.js';
import { endAll } from '../../support/end-later.js';
import { type GuestOptions, type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { startRecorder } from '../../support/guest/start-recorders.js';
import type { Step } from '../../support/guest/steps.js';
import { TextTrace } from '../../support/trace/text-trace.js';
import { type AddressCost, COST_EVENTS, costsByReason } from '../../support/trace/trace-costs.js';
import { vcpuThread } from '../times/vcpu-shares.js';

const RECORD_SECONDS = 4;
const TOLERANCE = 0.2;
const MAX_TRIES = 3;
const RUN_WITHIN_MS = 60_000;
const HUGE_PAGES = '/tmp/huge-pages';
const HUGE_MIB = 256;
/** Sizes of trace buffers. */
const WITNESS_KB = 24_576;
const SMALL_KB = 64;
/** So often that no guest gets to the end. */
const FOREVER = 4_000_000_000;
const X2APIC_ON = 0xfee00d00;
/** An interrupt to itself: vector 0x20, which stays pending, as interrupts are off. */
const TO_ITSELF = 0x40020;
const TSC_DEADLINE = 0x6e0;
/** QEMU answers reads of this MSR from 7.2 on, by the same way as those of RAPL (target/i386/kvm/kvm.c). */
const CORE_THREAD_COUNT = 0x35;

type Setup = Omit<GuestOptions, 'name'>;

interface Case {
  readonly advice: string;
  /** Findings about what else the guest does. */
  readonly besides?: readonly string[];
  /** Reason of the exits in the text of the trace. */
  readonly reason: string;
  readonly guest: Setup;
  /** The changed VM; default: the code of the guest is changed. */
  readonly cured?: Setup;
}

/** A guest that computes. */
const SPIN: Setup = { steps: [{ spin: true }] };
/** Touches its memory. An exit to QEMU shows that the recording has such exits. */
const TOUCH: readonly Step[] = [{ out: 0x80, times: 1 }, { touchPages: 1 << 20, times: 255 * 256 }, { spin: true }];

const CASES: readonly Case[] = [
  { advice: 'cpuid-loop', reason: 'cpuid', guest: { steps: [{ cpuid: 1, times: FOREVER }] } },
  { advice: 'guest-profiler', reason: 'msr', guest: { steps: [{ rdmsr: 0xc0010004, times: FOREVER }] } },
  {
    advice: 'inter-processor-interrupts',
    reason: 'msr',
    guest: {
      steps: [
        { wrmsr: 0x1b, value: X2APIC_ON, times: 1 },
        { wrmsr: 0x830, value: TO_ITSELF, times: FOREVER },
      ],
    },
  },
  {
    advice: 'timer-deadline',
    reason: 'msr',
    guest: { steps: [{ wrmsr: TSC_DEADLINE, value: 1, times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    advice: 'rapl-in-guest',
    reason: 'KVM_EXIT_X86_RDMSR',
    guest: { steps: [{ rdmsr: CORE_THREAD_COUNT, times: FOREVER }] },
  },
  {
    advice: 'nested-hypervisor',
    reason: 'vmrun',
    guest: { steps: [{ nested: [{ vmmcall: 0, times: 5 }], times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    // KVM itself intercepts PAUSE only on a CPU with a pause filter, which no emulated CPU has.
    advice: 'spinning-locks',
    besides: ['nested-hypervisor'],
    reason: 'pause',
    guest: { steps: [{ nested: [{ pause: true, times: 100 }], times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  {
    advice: 'page-faults',
    reason: 'npf',
    guest: { steps: [{ waitForHost: true }, ...TOUCH], memoryMiB: HUGE_MIB },
    cured: { steps: TOUCH, memoryMiB: HUGE_MIB, hugePages: HUGE_PAGES },
  },
  {
    advice: 'slow-device-model',
    reason: 'KVM_EXIT_IO',
    guest: { steps: [{ foreverClear: { bytes: 8 << 20 } }] },
  },
];

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
 * they record, because a test cannot write to its memory to let it go on: their time counts from when it runs, or the
 * faults of its start would be all that a recording has.
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

async function check(each: Case): Promise<void> {
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
const wanted = process.argv.slice(2);
for (const each of CASES.filter(({ advice }) => wanted.length === 0 || wanted.includes(advice)))
  try {
    await check(each);
  } catch (error) {
    console.log(each.advice, error);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
// The events stay enabled: the host ends with this script, and on some emulated hosts a CPU has no timer by now, so
// that disabling them would never end.
process.exit();
