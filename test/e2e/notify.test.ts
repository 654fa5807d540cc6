/** Notifications to systemd, received by a socket like systemd's. */
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

/**
 * Node.js has no Unix datagram sockets. Descriptors sent along with a message (the barrier) are closed, as by systemd.
 */
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

test('systemd is notified when the program serves, and from then on that it is alive', {
  skip: needs('systemd-notify', 'python3').skip,
}, async () => {
  const socket = join(FOLDER, 'notify');
  const received = await receive(socket);
  const agent = await WebAgent.startCommand('demo', [], { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' });
  for (let tries = 0; tries < 600 && (received().match(/^WATCHDOG=1$/gm)?.length ?? 0) < 3; tries++) await sleep(100);
  const messages = received()
    .split('\n')
    .filter((line) => /^(?:READY|WATCHDOG)=/.test(line));
  assert.deepEqual(messages.slice(0, 4), ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
  assert.doesNotMatch(agent.log, /cannot notify systemd/);
});

for (const [name, environment, want] of [
  ['nothing is set', {}, undefined],
  ['there is no watchdog', { NOTIFY_SOCKET: '/s' }, { watchdogMs: undefined }],
  ['the watchdog is on', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '60000000' }, { watchdogMs: 60_000 }],
  ['it watches this process', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '1000', WATCHDOG_PID: '7' }, { watchdogMs: 1 }],
  [
    'it watches another process',
    { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '1000', WATCHDOG_PID: '8' },
    { watchdogMs: undefined },
  ],
  ['its period is not a number', { NOTIFY_SOCKET: '/s', WATCHDOG_USEC: 'soon' }, { watchdogMs: undefined }],
] as const)
  test(`what systemd expects if ${name}`, () => assert.deepEqual(serviceManager(environment, 7), want));
