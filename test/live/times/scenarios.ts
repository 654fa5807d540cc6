/**
 * Guests whose vCPUs spend their time in a known way, whatever else runs on the host: how long a thread waits for a CPU
 * is compared with the kernel's own figure, and all other shares with the rest of the time.
 */
import assert from 'node:assert/strict';
import type { RunningAgent } from '../../support/agent/start-agent.js';
import { createCpuQuota } from '../../support/guest/cpu-quota.js';
import type { Step } from '../../support/guest/firmware.js';
import type { GuestOptions } from '../../support/guest/start-guest.js';
import { sharesOf, type VcpuShares } from './vcpu-shares.js';

/** Largest difference between the states' sum and wall time, and between ready and the kernel's figure. */
const TOLERANCE = 0.01;
const READY_TOLERANCE = 0.02;
const QUOTA = 0.15;

export interface Scenario {
  readonly name: string;
  readonly guests: () => readonly GuestOptions[];
  readonly check: (shares: VcpuShares, host: Host) => void;
}

export interface Host {
  /** False if KVM does not tell its time from that of the guest. */
  readonly tellsKvm: boolean;
  /**
   * Least part of its run time that a guest that only writes to a port is in KVM and QEMU. The CPU's way into the guest
   * and back counts for the guest, and takes long if the CPU is emulated.
   */
  readonly outsideShare: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const SPIN: readonly Step[] = [{ spin: true }];
const WRITE: readonly Step[] = [{ forever: { out: 0x80 } }];
const HALT: readonly Step[] = [{ halt: true }];

const part = ({ states }: VcpuShares, ...names: string[]) => names.reduce((sum, name) => sum + (states[name] ?? 0), 0);

/** All time but waits, which are compared with the kernel's figure. */
const awake = (shares: VcpuShares) => shares.sum - part(shares, 'ready');

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a busy loop is in its guest',
    guests: () => [{ name: 'times-spin', steps: SPIN }],
    check: (shares) => above(part(shares, 'guest'), 0.98 * awake(shares), shares),
  },
  {
    name: 'port writes are in KVM and QEMU',
    guests: () => [{ name: 'times-out', steps: WRITE }],
    check: (shares, { tellsKvm, outsideShare }) => {
      const states = tellsKvm ? ['kvm', 'qemu'] : ['guest', 'qemu'];
      above(part(shares, ...states), outsideShare * awake(shares), shares);
      assert.equal('kvm' in shares.states, tellsKvm, show(shares));
      above(part(shares, 'qemu'), 0.001, shares);
    },
  },
  {
    name: 'a halted guest is idle',
    guests: () => [{ name: 'times-idle', steps: HALT }],
    check: (shares) => above(part(shares, 'idle'), 0.95, shares),
  },
  {
    name: 'two busy guests on one CPU wait for each other',
    guests: () => ['times-pin-a', 'times-pin-b'].map((name) => ({ name, steps: SPIN, prefix: ['taskset', '-c', '1'] })),
    check: (shares) => {
      above(part(shares, 'ready'), 0.45, shares);
      above(part(shares, 'guest'), shares.ran - READY_TOLERANCE, shares);
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

export async function runScenario({ guests, check }: Scenario, agent: RunningAgent, host: Host): Promise<string[]> {
  const all = await sharesOf(agent, guests(), host);
  for (const shares of all.values()) {
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
  return [...all].map(([name, shares]) => `${name}: ${show(shares)}`);
}

function above(value: number, limit: number, shares: VcpuShares): void {
  assert.ok(value > limit, `${value} is not above ${limit}: ${show(shares)}`);
}

function show({ states, ...figuresOfKernel }: VcpuShares): string {
  const figures = Object.entries({ ...states, ...figuresOfKernel });
  return figures.map(([name, share]) => `${name} ${(100 * (share ?? 0)).toFixed(2)} %`).join(', ');
}
