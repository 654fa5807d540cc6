/** Starts `demo`, as users do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM, PROGRAM_ARGS } from '../paths.js';
import { HANG_MS } from '../patience.js';

export interface DemoAgent {
  /** `host:port` */
  readonly address: string;
  stop(): Promise<void>;
}

export async function startDemo(): Promise<DemoAgent> {
  const child = spawn(PROGRAM, [...PROGRAM_ARGS, 'demo', '--web.listen-address=127.0.0.1:0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  const ended = once(child, 'close');
  for (const deadlineMs = performance.now() + HANG_MS; performance.now() < deadlineMs; ) {
    const address = /url=http:\/\/([^/]+)\//.exec(log)?.[1];
    if (address !== undefined)
      return {
        address,
        async stop() {
          child.kill('SIGKILL');
          await ended;
        },
      };
    await sleep(50);
  }
  child.kill('SIGKILL');
  assert.fail(`demo does not serve:\n${log}`);
}
