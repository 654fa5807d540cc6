import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { printMessage } from '../../system/printable.js';

/** Exit codes of shells for a program that cannot be started. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/**
 * Runs a program with the standard input and outputs of this one. Returns its exit code, or that which a shell has for
 * it: 128 and the number of the signal that ended it.
 */
export async function runProgram([file = '', ...args]: readonly string[]): Promise<number> {
  const program = spawn(file, args, { stdio: 'inherit' });
  // A terminal sends Ctrl-C to the program as well, which decides what to do about it.
  const ignore = () => {};
  const forward = (signal: NodeJS.Signals) => program.kill(signal);
  process.on('SIGINT', ignore);
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve) => {
      program.on('error', (error: NodeJS.ErrnoException) => {
        if (program.pid !== undefined) return;
        const isMissing = error.code === 'ENOENT';
        printMessage(`${file} cannot be run: ${isMissing ? 'there is no such program' : error.message}`);
        resolve(isMissing ? NOT_FOUND : NOT_EXECUTABLE);
      });
      program.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    process.off('SIGINT', ignore);
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

const FORWARDED = ['SIGTERM', 'SIGHUP'] as const;
