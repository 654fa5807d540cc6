/** What systemd would hear, received by a socket as systemd has one. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { serviceManager } from '../../src/config/service-manager.js';
import { WebAgent } from '../support/agent/web-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { needs } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'notify-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

/** Node.js has no such sockets. What comes with a message (the barrier's descriptor) is closed unseen, as systemd does in the end. */
const RECEIVER = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("bound", flush=True)
while True: print(receiver.recv(4096).decode(), flush=True)
`;

async function receive(path: string): Promise<() => string> {
  const child = spawn('python3', ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  const ended = once(child, 'close');
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  return () => text;
}

test('systemd hears that the program is ready when it serves, and from then on that it lives', {
  skip: needs('systemd-notify', 'python3').skip,
}, async () => {
  const socket = join(FOLDER, 'notify');
  const heard = await receive(socket);
  const agent = await WebAgent.startCommand('demo', [], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' });
  for (let tries = 0; tries < 150 && (heard().match(/^WATCHDOG=1$/gm)?.length ?? 0) < 3; tries++) await sleep(100);
  const messages = heard()
    .split('\n')
    .filter((line) => /^(?:READY|WATCHDOG)=/.test(line));
  assert.deepEqual(messages.slice(0, 4), ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
  assert.doesNotMatch(agent.log, /cannot be notified/);
});

for (const [name, environment, want] of [
  ['nobody asks', {}, undefined],
  ['only readiness is asked for', { NOTIFY_SOCKET: '/s' }, { watchdogMs: undefined }],
  ['the watchdog is on', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '60000000' }, { watchdogMs: 60_000 }],
  ['it is ours', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '1000', WATCHDOG_PID: '7' }, { watchdogMs: 1 }],
  ["it is another's", { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '1000', WATCHDOG_PID: '8' }, { watchdogMs: undefined }],
  ['it is rubbish', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: 'soon' }, { watchdogMs: undefined }],
] as const)
  test(`what systemd asks for where ${name}`, () => assert.deepEqual(serviceManager(environment, 7), want));
