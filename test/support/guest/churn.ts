/** Load from processes and VMs that start and end all the time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { PORT_WRITES } from './agent-checks.js';
import { startGuest } from './start-guest.js';

/** Starts and ends hundreds of processes a second. Returns a function that stops it. */
export function startProcessChurn(): () => Promise<void> {
  const shell = spawn('sh', ['-c', 'while :; do (:) & (exec true) & (:) & wait; done'], { stdio: 'ignore' });
  const ended = once(shell, 'close');
  const stop = async () => {
    shell.kill('SIGKILL');
    await ended;
  };
  const forget = endLater(stop);
  return async () => {
    forget();
    await stop();
  };
}

/**
 * Runs guests, two at a time, that each do {@link PORT_WRITES} port writes, in a second or more on any machine. Beside
 * each of them another guest runs, which is killed halfway. Returns the names of the guests that ran to their end.
 * @param isSeen a guest lives until this resolves
 */
export async function runShortLivedGuests(
  prefix: string,
  pairs: number,
  isSeen: (name: string) => Promise<unknown>,
): Promise<string[]> {
  const names = Array.from({ length: 2 * pairs }, (_, index) => `${prefix}-${index}`);
  const run = async (name: string, indexInPair: number) => {
    const bursts = { out: 0x80, times: PORT_WRITES / 100, everyMs: 10, ticks: 100 };
    const guest = startGuest({ name, steps: [{ bursts }, { waitForHost: true }] });
    const killed = startGuest({ name: `${name}-killed`, steps: [{ forever: { out: 0x80 } }] });
    await sleep(100 * indexInPair + 100 * Math.random());
    await killed.kill();
    await isSeen(name);
    guest.goOn();
    await guest.finished();
  };
  for (let index = 0; index < names.length; index += 2) await Promise.all(names.slice(index, index + 2).map(run));
  return names;
}
