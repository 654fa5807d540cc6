/** Checks of a running agent that several live tests share. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, removeInstance } from '../agent/start-agent.js';
import { HANG_MS } from '../patience.js';
import type { Samples } from '../prometheus/samples.js';
import { type GuestOptions, type RunningGuest, startGuest } from './start-guest.js';
import type { Step } from './steps.js';

/** Exits of a VM that reached QEMU for port I/O. */
export const ioExits = (samples: Samples, vm: string): number =>
  samples.sum('kvm_exits_total', { vm, layer: 'qemu', reason: 'KVM_EXIT_IO' });

export const isReadingTracefs = (samples: Samples): boolean =>
  samples.sum('kvm_exit_exporter_source_up', { source: 'tracefs' }) === 1;

/** Warnings and errors, except about a process that looks like a VMM: it may be another program's, or just start. */
export function warningsIn(log: string): string[] {
  const lines = log.match(/level=(?:warn|error).*/g) ?? [];
  return lines.filter((line) => !line.includes('a process that looks like a VMM'));
}

export const PORT_WRITES = 40_000;

/** Port writes with which {@link runKnownGuest} begins. */
export const FIRST_WRITES = 1000;
export const UNTIL_KNOWN: readonly Step[] = [{ out: 0x80, times: FIRST_WRITES }, { waitForHost: true }];

/** Tells whether the agent knows a guest; by default: it has counted more exits under the name than before. */
type IsKnown = (samples: Samples) => boolean;

/**
 * Runs a guest to its end. After its first writes it waits until the agent knows it, which it does in time on any
 * machine then. All other exits come at full speed, and the guest ends at once.
 */
export async function runKnownGuest(agent: RunningAgent, options: GuestOptions, isKnown?: IsKnown): Promise<void> {
  await goOnOnceKnown(agent, { ...options, steps: [...UNTIL_KNOWN, ...options.steps] }, isKnown);
}

/**
 * Runs a guest to its end, whose exits come from its start on. After its last step it waits until the agent knows it.
 */
export async function runUntilKnown(
  agent: RunningAgent,
  options: GuestOptions,
  isKnown?: IsKnown,
): Promise<RunningGuest> {
  return goOnOnceKnown(agent, { ...options, steps: [...options.steps, { waitForHost: true }] }, isKnown);
}

async function goOnOnceKnown(agent: RunningAgent, options: GuestOptions, isKnown?: IsKnown): Promise<RunningGuest> {
  const { name } = options;
  const before = ioExits(await agent.scrape(), name);
  const guest = startGuest(options);
  await agent.scrapeUntil(`${name} is known`, isKnown ?? ((samples) => ioExits(samples, name) > before));
  guest.goOn();
  await guest.finished();
  return guest;
}

/** Steps that make {@link runKnownGuest} do so many port writes in all. */
export const writesInAll = (times: number): Step[] => [{ out: 0x80, times: times - FIRST_WRITES }];

/**
 * Runs a guest with `times` port writes and waits until the agent counts exactly these, and the one that ends the
 * guest.
 */
export async function assertCountsExactly(agent: RunningAgent, name: string, times = PORT_WRITES): Promise<void> {
  await runKnownGuest(agent, { name, steps: writesInAll(times) });
  await agent.scrapeUntil(`${name}: ${times + 1} exits`, (samples) => ioExits(samples, name) === times + 1);
}

/** Scrapes an agent that may be too slow for its own limits, as on an emulated host. */
export async function scrapePatiently(agent: RunningAgent): Promise<Samples> {
  for (let tries = 0; tries < 5; tries++) {
    try {
      return await agent.scrape();
    } catch (error) {
      console.log(String(error));
      await sleep(5000);
    }
  }
  return agent.scrape();
}

/** Waits until the log of a program matches `pattern`. Fails if the program ends before. */
export async function waitForLog(
  program: Pick<RunningAgent, 'process' | 'log'>,
  pattern: RegExp | string,
  withinMs = HANG_MS,
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
