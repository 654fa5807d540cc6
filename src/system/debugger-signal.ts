/**
 * SIGUSR1 makes Node.js open its debugger on 127.0.0.1:9229, where every user of the host could run code as root.
 * SIGUSR2 ends a program that does not listen for it, without a word.
 */
import inspector from 'node:inspector';
import { log } from './log.js';

/** Ignores both signals from now on. Call it as early as possible: Node.js itself listens for SIGUSR1 before. */
export function ignoreUserSignals(): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => log('info', 'signal ignored', { signal }));
}

/** Closes the debugger, unless `node --inspect` asked for it: the signal came while Node.js was starting. */
export function closeDebugger(): void {
  const isWanted = process.execArgv.some((argument) => /^--inspect(?:-brk|-wait)?(?:=|$)/.test(argument));
  if (!isWanted && inspector.url() !== undefined) inspector.close();
}
