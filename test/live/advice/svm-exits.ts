/**
 * Findings about exits to KVM, on a host whose KVM raises kvm_exit and kvm_entry: guests whose code does one thing too
 * often, and the same guests in a VM that was changed as the advice says, or with code that was. Costs are compared
 * with figures that this script adds up itself from the text of the same trace.
 *
 * svm-advice.test.ts runs this in an emulated host. All events are enabled before the first guest starts, because
 * enabling one while vCPUs run can crash such a host.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FindingData } from '../../../src/advice/finding-data.js';
import { RULES } from '../../../src/advice/rules.js';
import { reportOf } from '../../support/agent/run-agent.js';
import { TRACEFS } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { type GuestOptions, type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { startRecorder } from '../../support/guest/start-recorders.js';
import type { Step } from '../../support/guest/steps.js';
import { type AddressCost, costsByReason } from '../../support/trace/trace-costs.js';
import { DEVICE_GUESTS } from './device-guests.js';

const RECORD_SECONDS = 5;
/** Time for QEMU and the guest to get to what is recorded. */
const START_MS = 3000;
const TOLERANCE = 0.2;
const HUGE_PAGES = '/tmp/huge-pages';
const HUGE_MIB = 256;
/** So often that no guest gets to the end. */
const FOREVER = 4_000_000_000;
const X2APIC_ON = 0xfee00d00;
/** An interrupt to itself: vector 0x20, which stays pending, as interrupts are off. */
const TO_ITSELF = 0x40020;

interface Case {
  readonly advice: string;
  /** Reason of the exits in the text of the trace. */
  readonly reason: string;
  readonly guest: Omit<GuestOptions, 'name'>;
  /** The changed VM; undefined if it is the code of the guest that has to change. */
  readonly cured?: Omit<GuestOptions, 'name'>;
  /** Records what the guest does in the end, and not how it starts: it has exits to QEMU all the time. */
  readonly isSettled?: true;
}

const printed = (advice: string) => (RULES.find(({ id }) => id === advice)?.changes.qemu ?? '').split(' ');
const TOUCH = {
  steps: [{ touchPages: 1 << 20, times: 255 * 256 }, { waitForHost: true }],
  memoryMiB: HUGE_MIB,
} as const;

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
    advice: 'nested-hypervisor',
    reason: 'vmrun',
    guest: { steps: [{ nested: [{ vmmcall: 0, times: 5 }], times: FOREVER }], extraArgs: ['-cpu', 'host'] },
  },
  { advice: 'page-faults', reason: 'npf', guest: TOUCH, cured: { ...TOUCH, hugePages: HUGE_PAGES } },
  {
    advice: 'slow-device-model',
    reason: 'KVM_EXIT_IO',
    guest: { steps: [{ foreverClear: { bytes: 8 << 20 } }] },
    isSettled: true,
  },
];
/** What a guest does that need not ask an emulated clock: a recording without exits would show nothing. */
const TICK: Step = { bursts: { out: 0x80, times: 1, everyMs: 50 } };
/** Clocks whose cure is of Hyper-V, which the KVM of a test machine may lack; see devices.test.ts. */
const CLOCKS: readonly Case[] = DEVICE_GUESTS.filter(({ advice }) => ['acpi-pm-timer', 'rtc'].includes(advice)).map(
  ({ advice, steps, qemu }) => {
    const code = [...steps.slice(0, -1), TICK];
    return {
      advice,
      reason: 'KVM_EXIT_IO',
      guest: { steps: code, extraArgs: qemu.split(' ') },
      cured: { steps: code, extraArgs: printed(advice) },
      isSettled: true,
    };
  },
);
/** A guest whose code was changed: it computes. */
const CHANGED_CODE: Omit<GuestOptions, 'name'> = { steps: [{ spin: true }] };

function enableEvents(): string {
  const instance = `${TRACEFS}/instances/advice-exits`;
  mkdirSync(instance);
  writeFileSync(`${instance}/tracing_on`, '0');
  writeFileSync(`${instance}/buffer_size_kb`, '40960');
  writeFileSync(`${instance}/events/kvm/enable`, '1');
  return instance;
}

/** Thread of the first vCPU. */
function vcpuThread({ pid }: RunningGuest): string {
  const isVcpu = (tid: string) => readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').startsWith('CPU 0/KVM');
  return readdirSync(`/proc/${pid}/task`).find(isVcpu) ?? '';
}

interface Recorded {
  readonly findings: readonly FindingData[];
  readonly costs: ReadonlyMap<string, AddressCost>;
  readonly thread: string;
}

/**
 * Records a guest with the program and with the witness at the same time. The start of a guest has exits to QEMU, and a
 * recording without any does not show which part of a time was in QEMU.
 */
async function record(witness: string, guest: Omit<GuestOptions, 'name'>, isSettled = false): Promise<Recorded> {
  const start = () => startGuest({ name: 'guest', ...guest });
  const early = isSettled ? start() : undefined;
  if (early !== undefined) await sleep(START_MS);
  const recorder = await startRecorder('record', '/tmp', [], ['--collector.indices']);
  writeFileSync(`${witness}/trace`, '');
  writeFileSync(`${witness}/tracing_on`, '1');
  const running = early ?? start();
  await sleep(RECORD_SECONDS * 1000);
  writeFileSync(`${witness}/tracing_on`, '0');
  await recorder.stop();
  assert.equal(running.lastWords(), undefined);
  const thread = vcpuThread(running);
  await running.kill();
  const costs = costsByReason(readFileSync(`${witness}/trace`, 'utf8'));
  const { findings, exits } = reportOf(recorder.file);
  rmSync(recorder.file);
  assert.ok(exits.some(({ count }) => count > 0));
  return { findings: findings ?? [], costs, thread };
}

async function check(witness: string, { advice, reason, guest, cured = CHANGED_CODE, isSettled }: Case): Promise<void> {
  const { findings, costs, thread } = await record(witness, guest, isSettled);
  const [finding, ...more] = findings;
  const expected = costs.get(`${thread} ${reason}`);
  const words = [finding?.cost?.toFixed(3), expected?.seconds.toFixed(3), finding?.per_second.toFixed(0)];
  console.log(`${advice}: costs ${words[0]}, by the text of the trace ${words[1]}, ${words[2]}/s`);
  assert.deepEqual([finding?.advice, ...more.map((each) => each.advice)], [advice]);
  const ratio = (finding?.cost ?? Number.NaN) / (expected?.seconds ?? Number.NaN);
  assert.ok(Math.abs(ratio - 1) <= TOLERANCE, `${advice}: ${ratio}`);
  const after = await record(witness, cured, isSettled);
  assert.deepEqual(
    after.findings.map((each) => each.advice),
    [],
  );
  console.log(`${advice}: none in the changed VM`);
}

const witness = enableEvents();
writeFileSync('/proc/sys/vm/nr_hugepages', String(HUGE_MIB / 2 + 8));
mkdirSync(HUGE_PAGES, { recursive: true });
spawnSync('mount', ['-t', 'hugetlbfs', 'none', HUGE_PAGES]);
for (const each of [...CLOCKS, ...CASES])
  try {
    await check(witness, each);
  } catch (error) {
    console.log(each.advice, error);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
