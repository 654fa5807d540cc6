/** Checks of a running agent that several live tests share. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, removeInstance } from '../agent/start-agent.js';
import type { Samples } from '../prometheus/samples.js';
import { startGuest } from './start-guest.js';

/** Exits of a VM that reached QEMU for port I/O. */
export const ioExits = (samples: Samples, vm: string): number =>
  samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });

export const isReadingTracefs = (samples: Samples): boolean =>
  samples.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }) === 1;

/** Enough port writes for a guest to live until the agent has looked up its name, even on a busy machine. */
export const PORT_WRITES = 40_000;

/**
 * Runs a guest with `times` port writes and waits until the agent counts exactly these, and the one that ends the
 * guest.
 */
export async function assertCountsExactly(agent: RunningAgent, name: string, times = PORT_WRITES): Promise<void> {
  await startGuest({ name, steps: [{ out: 0x80, times }] }).finished();
  await agent.scrapeUntil(`${name}: ${times + 1} exits`, (samples) => ioExits(samples, name) === times + 1);
}

/** Waits until the log of a program matches `pattern`. Fails if the program ends before. */
export async function waitForLog(
  program: Pick<RunningAgent, 'process' | 'log'>,
  pattern: RegExp | string,
  withinMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  const matches = (log: string) => (typeof pattern === 'string' ? log.includes(pattern) : pattern.test(log));
  while (!matches(program.log())) {
    assert.equal(program.process.exitCode, null, `it ended:\n${program.log()}`);
    if (Date.now() > deadline) assert.fail(`the log does not have ${pattern}:\n${program.log()}`);
    await sleep(50);
  }
}

/** Kills a program that the test has started itself, and removes its tracing instance; meant for `endLater`. */
export async function killAndRemoveInstance(child: ChildProcess, instance: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
  removeInstance(instance);
}
