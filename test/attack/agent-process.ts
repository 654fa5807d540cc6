import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkTimer } from '../support/cpu-wait.js';
import { endLater } from '../support/end-later.js';
import { MAIN } from '../support/paths.js';

/** Long, because the machine may be busy. */
const START_MS = 60_000;
const END_MS = 10_000;
/** An attack may fill the log; this much is kept for messages. */
const MAX_LOG = 100_000;

/** The agent under attack, with 1024 descriptors, on a free port of the loopback interface. */
export class AgentProcess {
  readonly #child: ChildProcess;
  #log = '';

  private constructor(command: string, args: readonly string[]) {
    const words = [process.execPath, MAIN, command, '--web.listen-address=127.0.0.1:0', ...args];
    this.#child = startProcess('sh', ['-c', 'ulimit -n 1024; exec "$0" "$@"', ...words]);
    this.#child.stderr?.on('data', (text) => {
      if (this.#log.length < MAX_LOG) this.#log += text;
    });
  }

  static async start(command: string, args: readonly string[]): Promise<AgentProcess> {
    const agent = new AgentProcess(command, args);
    for (const endMs = performance.now() + START_MS; agent.url === undefined; await sleep(20))
      if (agent.hasEnded || performance.now() > endMs) throw new Error(`the agent does not serve:\n${agent.#log}`);
    return agent;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Undefined until it serves. */
  get url(): string | undefined {
    return /msg=serving url=(https?:\/\/[^/\s]+)\//.exec(this.#log)?.[1];
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The last lines of its log. */
  get lastLines(): string {
    return this.#log.split('\n').slice(-4).join('\n');
  }

  /** Peak of the resident memory, in bytes; NaN if it has ended. */
  get peakMemory(): number {
    if (this.hasEnded) return Number.NaN;
    return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]);
  }

  /** Sends SIGTERM, and returns the seconds until it has ended; NaN if it does not end. */
  async end(): Promise<number> {
    const timer = new WorkTimer(this.pid);
    this.#child.kill('SIGTERM');
    // Read while it runs, because an ended process has no figures.
    let seconds = 0;
    for (const endMs = performance.now() + END_MS; !this.hasEnded; await sleep(5)) {
      if (performance.now() > endMs) return Number.NaN;
      seconds = timer.seconds;
    }
    return seconds;
  }
}

/** Starts a program that ends with the attack at the latest. */
export function startProcess(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}
