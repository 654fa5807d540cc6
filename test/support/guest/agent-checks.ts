/** What the tests of faults ask of a running agent, of the kernel and of each other. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, removeInstance, TRACEFS } from '../agent/agent.js';
import type { Samples } from '../prometheus/samples.js';
import { needs, type Requirement } from '../requirements.js';
import { startGuest } from './start-guest.js';

/** Options of a test with the real program and a real guest. */
export const liveTest = (...more: Requirement[]) => ({
  ...needs('root', 'kvm', 'tracefs', 'kvm-events', 'qemu', ...more),
  timeout: 120_000,
});

export const ioExits = (samples: Samples, vm: string): number =>
  samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });

export const isUp = (samples: Samples): boolean =>
  samples.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }) === 1;

/** Port writes of a guest that lives long enough to be known by its name, also where this machine is busy. */
export const PORT_WRITES = 40_000;

/** The agent still does its work: a guest that does `times` port writes is counted exactly, with the one that ends it. */
export async function assertCountsExactly(agent: RunningAgent, name: string, times = PORT_WRITES): Promise<void> {
  await startGuest({ name, steps: [{ out: 0x80, times }] }).finished();
  await agent.scrapeUntil(`${name}: ${times + 1} exits`, (samples) => ioExits(samples, name) === times + 1);
}

/** Waits until it has said this. */
export async function says(agent: RunningAgent, what: RegExp, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!what.test(agent.log())) {
    assert.equal(agent.process.exitCode, null, `it ended:\n${agent.log()}`);
    if (Date.now() > deadline) assert.fail(`never says ${what}:\n${agent.log()}`);
    await sleep(50);
  }
}

/** For `endLater`: ends what was started by hand, and removes its instance. */
export async function killed(child: ChildProcess, instance: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
  removeInstance(instance);
}

/** What the kernel's ring buffers say of themselves, summed over the CPUs. */
export interface KernelWrote {
  readonly read: number;
  readonly waiting: number;
  readonly lost: number;
}

export function ringBufferStats(instance: string): KernelWrote {
  const folder = join(TRACEFS, 'instances', instance, 'per_cpu');
  const texts = readdirSync(folder).map((cpu) => readFileSync(join(folder, cpu, 'stats'), 'utf8'));
  const sum = (name: string) =>
    texts.reduce((all, text) => all + Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]), 0);
  return { read: sum('read events'), waiting: sum('entries'), lost: sum('overrun') + sum('dropped events') };
}

/** An id that no thread can have (PID_MAX_LIMIT is 4,194,304). */
const NOBODY = 4_194_305;

/** From now on nothing is written to its buffers, as it is nobody's: other VMs of this host go on, and figures shall stand still. The events stay on. */
export function stopRecording(instance: string): void {
  writeFileSync(join(TRACEFS, 'instances', instance, 'events/kvm/filter'), `common_pid == ${NOBODY}`);
}

/** Rounds or seconds of a longer run, where the environment asks for one. */
export function longer(variable: string, usual: number): number {
  return Number(process.env[variable] ?? usual);
}
