/**
 * Guests whose vCPUs spend their time in a known way, whatever else runs on the host: how long a thread waits for a CPU
 * is compared with the kernel's own figure, and all other shares with the rest of the time.
 */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningAgent } from '../../support/agent/start-agent.js';
import { createCpuQuota } from '../../support/guest/cpu-quota.js';
import { lastCpu } from '../../support/guest/last-cpu.js';
import { QmpClient } from '../../support/guest/qmp-client.js';
import type { GuestOptions } from '../../support/guest/start-guest.js';
import type { Step } from '../../support/guest/steps.js';
import type { TestTrace } from './traced-shares.js';
import { sharesOf, type VcpuShares } from './vcpu-shares.js';

/** Largest difference between the states' sum and wall time, and between ready and the kernel's figure. */
const TOLERANCE = 0.01;
const READY_TOLERANCE = 0.02;
/** Largest difference from the shares that the kernel's own text of a trace shows. */
const TRACE_TOLERANCE = 0.02;
/** A trace of more seconds with many events takes long to print. */
const BURST_SECONDS = 8;
const QUOTA = 0.15;

export interface Scenario {
  readonly name: string;
  /** Traces the guests, where KVM tells its time from the guest's: the test needs that, or checks more with it. */
  readonly traced?: 'needed' | 'checked';
  /** Default: {@link Host.seconds}. */
  readonly seconds?: number;
  readonly guests: () => readonly GuestOptions[];
  /** What the test does while the time is measured. */
  readonly meanwhile?: (agents: readonly RunningAgent[]) => Promise<void>;
  readonly check: (shares: VcpuShares, host: Host) => void;
}

export interface Host {
  /** False if KVM does not tell its time from that of the guest. */
  readonly tellsKvm: boolean;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly trace?: TestTrace | undefined;
}

const SPIN: readonly Step[] = [{ spin: true }];
const WRITE: readonly Step[] = [{ forever: { out: 0x80 } }];
/** Port writes that keep QEMU busy for much longer than the CPU's way into the guest and back can take. */
const CLEAR: readonly Step[] = [{ foreverClear: { bytes: 4 << 20 } }];
const BURSTS: readonly Step[] = [{ bursts: { out: 0x80, times: 50, everyMs: 20 } }];
const HALT: readonly Step[] = [{ halt: true }];

const INTERRUPTED = 'times-interrupted';
const MONITOR = join(tmpdir(), `times-${process.pid}.sock`);
const SIGNALS = 50;

/** Asks QEMU for registers, for which it interrupts the vCPU with a signal, until so many signals ended KVM_RUN. */
async function interrupt(agents: readonly RunningAgent[]): Promise<void> {
  const restarts = async () => {
    const all = await Promise.all(agents.map((agent) => agent.scrape()));
    return Math.max(...all.map((samples) => samples.sum('kvm_exits_total', { vm: INTERRUPTED, reason: 'restart' })));
  };
  const enough = (await restarts()) + SIGNALS;
  const qmp = await QmpClient.connect(MONITOR);
  while ((await restarts()) < enough)
    for (let question = 0; question < 10; question++) {
      await qmp.execute('human-monitor-command', { 'command-line': 'info registers' });
      await sleep(50);
    }
  qmp.close();
}

const part = ({ states }: VcpuShares, ...names: string[]) => names.reduce((sum, name) => sum + (states[name] ?? 0), 0);

/** All time but waits, which are compared with the kernel's figure. */
const awake = (shares: VcpuShares) => shares.sum - part(shares, 'ready');

export const SCENARIOS: readonly Scenario[] = [
  {
    // Interrupts of the host end the loop's stay in the guest. Handling them takes an emulated host 6 to 9 % of the
    // time, which counts as time in KVM from Linux 6.12 on (docs/figures.md); the trace shows how much it is.
    name: 'a busy loop is in its guest',
    traced: 'checked',
    guests: () => [{ name: 'times-spin', steps: SPIN }],
    check: (shares) => {
      const { guest, ready } = shares.traced ?? { guest: 1, ready: 0 };
      const possible = guest / (1 - ready) - TRACE_TOLERANCE - shares.uncertainty;
      above(part(shares, 'guest'), Math.min(0.98, possible) * awake(shares), shares);
      assertLikeTrace(shares);
    },
  },
  {
    name: 'port writes are in KVM and QEMU',
    guests: () => [{ name: 'times-out', steps: CLEAR }],
    check: (shares, { tellsKvm }) => {
      above(part(shares, ...(tellsKvm ? ['kvm', 'qemu'] : ['guest', 'qemu'])), 0.9 * awake(shares), shares);
      assert.equal('kvm' in shares.states, tellsKvm, show(shares));
      above(part(shares, 'qemu'), 0.5 * awake(shares), shares);
    },
  },
  {
    name: 'bursts of port writes are where the kernel shows them',
    traced: 'needed',
    seconds: BURST_SECONDS,
    guests: () => [{ name: 'times-bursts', steps: BURSTS }],
    check: (shares, { tellsKvm }) => {
      above(part(shares, 'qemu'), 0.001, shares);
      above(part(shares, 'idle'), 0.1, shares);
      assert.equal(shares.traced !== undefined, tellsKvm);
      assertLikeTrace(shares);
    },
  },
  {
    name: 'a halted guest is idle',
    guests: () => [{ name: 'times-idle', steps: HALT }],
    check: (shares) => above(part(shares, 'idle'), 0.95, shares),
  },
  {
    // After a signal a vCPU is halted as before, without a new exit: QEMU only runs for as long as it answers.
    name: 'a halted guest that signals interrupt is idle, and in QEMU only while that runs',
    guests: () => [{ name: INTERRUPTED, steps: HALT, extraArgs: ['-qmp', `unix:${MONITOR},server=on,wait=off`] }],
    meanwhile: interrupt,
    check: (shares) => {
      above(part(shares, 'idle'), 1 - shares.ran - shares.waited - 0.02 - shares.uncertainty, shares);
      above(shares.ran + 0.01 + shares.uncertainty, part(shares, 'guest', 'kvm', 'qemu'), shares);
    },
  },
  {
    name: 'two busy guests on one CPU wait for each other',
    traced: 'checked',
    guests: () =>
      ['times-pin-a', 'times-pin-b'].map((name) => ({ name, steps: SPIN, prefix: ['taskset', '-c', lastCpu()] })),
    check: (shares) => {
      above(part(shares, 'ready'), 0.45, shares);
      // In KVM: interrupts of the host, as in a busy loop.
      above(
        part(shares, 'guest', ...(shares.traced === undefined ? [] : ['kvm'])),
        shares.ran - READY_TOLERANCE,
        shares,
      );
      assertLikeTrace(shares);
    },
  },
  ...[SPIN, WRITE].map(
    (steps, index): Scenario => ({
      name: `a CPU quota makes ${index === 0 ? 'a busy loop' : 'port writes'} wait, not slow in QEMU`,
      guests: () => [{ name: `times-quota-${index}`, steps, prefix: createCpuQuota(QUOTA).prefix }],
      check: (shares) => {
        above(part(shares, 'ready'), 1 - QUOTA - 0.05, shares);
        above(QUOTA + 0.03, part(shares, 'guest', 'kvm', 'qemu'), shares);
      },
    }),
  ),
];

/** Runs the guests, and checks their times as each agent counts them. */
export async function runScenario(scenario: Scenario, agents: readonly RunningAgent[], host: Host): Promise<string[]> {
  const { guests, meanwhile, check, traced, seconds = host.seconds } = scenario;
  const options = { ...host, seconds, meanwhile, trace: traced === undefined ? undefined : host.trace };
  const all = await sharesOf(agents, guests(), options);
  for (const { shares } of all) {
    assert.ok(
      Math.abs(shares.sum - 1) < TOLERANCE + shares.uncertainty,
      `the states add up to ${shares.sum}: ${show(shares)}`,
    );
    assert.ok(
      Math.abs(part(shares, 'ready') - shares.waited) < READY_TOLERANCE + shares.uncertainty,
      `ready: ${show(shares)}`,
    );
    check(shares, host);
  }
  return all.map(({ name, shares }) => `${name}: ${show(shares)}`);
}

/** The shares are those of the test's trace, if there is one. */
function assertLikeTrace(shares: VcpuShares): void {
  const tolerance = TRACE_TOLERANCE + shares.uncertainty;
  for (const [state, share] of Object.entries(shares.traced ?? {}))
    assert.ok(Math.abs(part(shares, state) - share) < tolerance, `${state}: ${show(shares)}`);
}

function above(value: number, limit: number, shares: VcpuShares): void {
  assert.ok(value > limit, `${value} is not above ${limit}: ${show(shares)}`);
}

function show({ states, traced, ...figuresOfKernel }: VcpuShares): string {
  const ofTrace = Object.entries(traced ?? {}).map(
    ([state, share]) => [`${state} in the test's trace`, share] as const,
  );
  const figures = [...Object.entries({ ...states, ...figuresOfKernel }), ...ofTrace];
  return figures.map(([name, share]) => `${name} ${(100 * (share ?? 0)).toFixed(2)} %`).join(', ');
}
