/** SIGUSR1, at which Node.js by itself opens its debugger, and SIGUSR2, which by itself ends a program. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { statusOf, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { freePort } from '../support/free-port.js';
import { MAIN } from '../support/paths.js';

afterEach(endAll);

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

test('a running agent logs both signals, opens no debugger and serves on', async () => {
  const port = await freePort();
  const agent = await WebAgent.startCommand('demo', [], { NODE_OPTIONS: `--inspect-port=${port}` });
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    agent.process.kill(signal);
    await agent.until(`msg="signal ignored" signal=${signal}`);
  }
  await sleep(300);
  assert.equal(await isOpen(port), false);
  assert.equal(await statusOf(`${agent.url}/-/healthy`), 200);
});

test('a signal at any moment of the start leaves no debugger open', { timeout: 300_000 }, async () => {
  const port = await freePort();
  for (const afterMs of [10, 30, 50, 80, 120, 200]) {
    const args = [`--inspect-port=${port}`, MAIN, 'demo', '--web.listen-address=127.0.0.1:0'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (text) => {
      log += text;
    });
    const ended = once(child, 'close');
    await sleep(afterMs);
    child.kill('SIGUSR1');
    // A signal that comes before Node.js is there ends the process.
    while (child.exitCode === null && child.signalCode === null && !log.includes('msg=serving')) await sleep(20);
    assert.equal(await isOpen(port), false, `a signal after ${afterMs} ms\n${log}`);
    child.kill('SIGKILL');
    await ended;
  }
});
