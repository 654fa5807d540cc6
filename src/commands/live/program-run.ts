import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { printMessage } from '../../system/printable.js';

/** Exit codes of shells for a program that cannot be started. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
/** A shell adds the number of the signal that ended a program. */
const BY_SIGNAL = 128;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A program with the standard input and outputs of this one. From the start on, signals end that program and not this
 * one: SIGTERM and SIGHUP are passed on. A terminal sends Ctrl-C to both, and the program decides what to do about it.
 */
export class ProgramRun {
  readonly #words: readonly string[];
  #process: ChildProcess | undefined;
  /** Exit code of the program, or that which a shell has for it; undefined while it runs. */
  #exitCode: number | undefined;

  constructor(words: readonly string[]) {
    this.#words = words;
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /** Does not start a program that a signal has ended before. */
  async run(): Promise<void> {
    if (this.#exitCode !== undefined) return;
    const [file = '', ...args] = this.#words;
    const program = spawn(file, args, { stdio: 'inherit' });
    this.#process = program;
    this.#exitCode = await new Promise<number>((resolve) => {
      program.on('error', (error: NodeJS.ErrnoException) => {
        if (program.pid !== undefined) return;
        const isMissing = error.code === 'ENOENT';
        printMessage(`${file} cannot be run: ${isMissing ? 'there is no such program' : error.message}`);
        resolve(isMissing ? NOT_FOUND : NOT_EXECUTABLE);
      });
      program.on('exit', (code, signal) => resolve(code ?? codeOf(signal)));
    });
  }

  /** Gives signals their usual effect again, and returns the exit code. */
  end(): number {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    return this.#exitCode ?? 0;
  }

  readonly #onSignal = (signal: NodeJS.Signals) => {
    if (this.#process === undefined) this.#exitCode ??= codeOf(signal);
    else if (signal !== 'SIGINT') this.#process.kill(signal);
  };
}

function codeOf(signal: NodeJS.Signals | null): number {
  return BY_SIGNAL + (signal === null ? 0 : constants.signals[signal]);
}
