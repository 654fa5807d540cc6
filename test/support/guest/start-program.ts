import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { uniqueInstance } from '../agent/start-agent.js';
import { endLater } from '../end-later.js';
import { PROGRAM, PROGRAM_ARGS } from '../paths.js';
import { killAndRemoveInstance } from './agent-checks.js';

export interface StartedProgram {
  /** Name of its tracing instance. */
  readonly instance: string;
  readonly process: ChildProcess;
  /** Standard output so far. */
  output(): string;
  /** Standard error so far. */
  log(): string;
  /** Resolves when the program has ended, in whatever way. */
  ended(): Promise<void>;
}

/** Starts a command that traces and returns at once, unlike `startAgent`, which waits until the agent serves. */
export function startProgram(
  args: readonly ['run' | 'record' | 'stat', ...string[]],
  { instance = uniqueInstance(), prefix = [] }: { instance?: string; prefix?: readonly string[] } = {},
): StartedProgram {
  const [command = '', ...rest] = [...prefix, PROGRAM, ...PROGRAM_ARGS, ...args, `--tracefs.instance=${instance}`];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (text) => {
      texts[name] += text;
    });
  const closed = once(child, 'close');
  const forget = endLater(() => killAndRemoveInstance(child, instance));
  return {
    instance,
    process: child,
    output: () => texts.stdout,
    log: () => texts.stderr,
    async ended() {
      await closed;
      forget();
    },
  };
}
