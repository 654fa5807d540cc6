import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { HANG_MS } from '../patience.js';
import { type Peer, pathOfPeer } from './binaries.js';

/** Starts a program of binaries.ts, and waits until `readyUrl` answers. It ends with the test. */
export async function startPeer(name: Peer, args: readonly string[], readyUrl: string): Promise<void> {
  const child = spawn(pathOfPeer(name), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      log = `${log}${text}`.slice(-20_000);
    });
  const ended = once(child, 'close');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const deadline = Date.now() + HANG_MS;
  for (;;) {
    const answers = await fetch(readyUrl).then(
      // A receiver of OTLP answers GET with 405: it listens.
      ({ status }) => status < 500,
      () => false,
    );
    if (answers) return;
    assert.equal(child.exitCode, null, `${name} has ended:\n${log}`);
    assert.ok(Date.now() < deadline, `${name} is not ready after ${HANG_MS} ms:\n${log}`);
    await sleep(100);
  }
}
