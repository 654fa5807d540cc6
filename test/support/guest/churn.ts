/** Processes and VMs that come and go all the time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { PORT_WRITES } from './agent-checks.js';
import { startGuest } from './start-guest.js';

/** Hundreds of processes a second. Returns what ends it. */
export function startProcessChurn(): () => Promise<void> {
  const storm = spawn('sh', ['-c', 'while :; do (:) & (exec true) & (:) & wait; done'], { stdio: 'ignore' });
  const ended = once(storm, 'close');
  const stop = async () => {
    storm.kill('SIGKILL');
    await ended;
  };
  const isEnded = endLater(stop);
  return async () => {
    isEnded();
    await stop();
  };
}

/** Runs guests, two at a time, beside others that are killed in the middle of it. Returns the names of those that come to their end. */
export async function runShortLivedGuests(prefix: string, pairs: number): Promise<string[]> {
  const names = Array.from({ length: 2 * pairs }, (_, index) => `${prefix}-${index}`);
  const run = async (name: string, other: number) => {
    const guest = startGuest({ name, steps: [{ out: 0x80, times: PORT_WRITES }] });
    const killed = startGuest({ name: `${name}-killed`, steps: [{ forever: { out: 0x80 } }] });
    await sleep(100 * other + 100 * Math.random());
    await killed.kill();
    await guest.finished();
  };
  for (let index = 0; index < names.length; index += 2) await Promise.all(names.slice(index, index + 2).map(run));
  return names;
}
