/** Starts the compiled program on this host, as users do. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { PROGRAM, PROGRAM_ARGS } from '../paths.js';
import { HANG_MS, PATIENCE } from '../patience.js';
import { Samples } from '../prometheus/samples.js';

export const TRACEFS = '/sys/kernel/tracing';
const POLL_MS = 50;

export interface StartOptions {
  /** Name of the tracing instance; default: a unique one. */
  readonly instance?: string;
  readonly args?: readonly string[];
  /** Command that runs the program, such as `setpriv --bounding-set=-all`. */
  readonly prefix?: readonly string[];
  /** How long the start may take; default: {@link HANG_MS}. */
  readonly timeoutMs?: number;
}

export interface RunningAgent {
  readonly instance: string;
  readonly process: ChildProcess;
  readonly url: string;
  /** The log so far. */
  log(): string;
  scrape(): Promise<Samples>;
  /** Scrapes until `done` is true; fails with `what` after `withinMs`, or {@link HANG_MS} if that is longer. */
  scrapeUntil(what: string, done: (samples: Samples) => boolean, withinMs?: number): Promise<Samples>;
  /** Sends SIGTERM; the agent must end with exit code 0 and leave no instance behind. */
  stop(): Promise<void>;
  /** Sends SIGKILL, which leaves the instance behind. */
  kill(): Promise<void>;
}

let instances = 0;

/** A name that no other test uses, so that tests can run in parallel. */
export function uniqueInstance(): string {
  return `kvm-exit-exporter-test-${process.pid}-${++instances}`;
}

export function tracingInstances(): string[] {
  return readdirSync(`${TRACEFS}/instances`);
}

/** Starts the program and waits until it serves. */
export async function startAgent({
  instance = uniqueInstance(),
  args = [],
  prefix = [],
  timeoutMs = HANG_MS,
}: StartOptions = {}): Promise<RunningAgent> {
  const child = spawnAgent(prefix, ['--web.listen-address=127.0.0.1:0', `--tracefs.instance=${instance}`, ...args]);
  let log = '';
  child.stderr?.on('data', (text) => {
    log += text;
  });
  const ended = once(child, 'close');
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const isEnded = endLater(async () => {
    await kill();
    removeInstance(instance);
  });
  const url = await waitForUrl(child, timeoutMs, () => log);
  const scrape = async () => new Samples(await (await fetch(url)).text());
  return {
    instance,
    process: child,
    url,
    log: () => log,
    scrape,
    async scrapeUntil(what, done, withinMs = 0) {
      const limitMs = Math.max(HANG_MS, PATIENCE * withinMs);
      const deadline = Date.now() + limitMs;
      for (;;) {
        const samples = await scrape();
        if (done(samples)) return samples;
        if (Date.now() > deadline) assert.fail(`${what}: not within ${limitMs} ms\n${log}\n${dump(samples)}`);
        await sleep(POLL_MS);
      }
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      isEnded();
      assert.deepEqual({ code: child.exitCode, signal: child.signalCode }, { code: 0, signal: null }, log);
      assert.ok(!removeInstance(instance), `${instance} is left behind`);
    },
    kill,
  };
}

/** False if there is no such instance. */
export function removeInstance(name: string): boolean {
  const path = `${TRACEFS}/instances/${name}`;
  if (!existsSync(path)) return false;
  rmdirSync(path);
  return true;
}

function spawnAgent(prefix: readonly string[], args: readonly string[]): ChildProcess {
  const [command = '', ...rest] = [...prefix, PROGRAM, ...PROGRAM_ARGS, 'run', ...args];
  return spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function waitForUrl(child: ChildProcess, timeoutMs: number, log: () => string): Promise<string> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const url = /msg=serving url=(\S+)/.exec(log())?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      assert.fail(`the agent does not serve (exit code ${child.exitCode}):\n${log()}`);
    }
    await sleep(10);
  }
}

function dump({ all }: Samples): string {
  const own = all.filter(({ name }) => name.startsWith('kvm_'));
  return own
    .map(({ name, labels, value }) => `${name} ${JSON.stringify(Object.fromEntries(labels))} ${value}`)
    .join('\n');
}

/** Runs the program until it ends by itself, as it does if it refuses its arguments. */
export async function runAgentToEnd(
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<{ code: number | null; stderr: string }> {
  const child = spawnAgent(prefix, ['--web.listen-address=127.0.0.1:0', ...args]);
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  await once(child, 'close');
  clearTimeout(timer);
  return { code: child.exitCode, stderr };
}
