/** Attacks of clients of the web server. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { statusOf } from '../../support/agent/web-agent.js';
import type { Attack, Target } from '../attack.js';
import { keepOpen, untilAborted } from './sockets.js';

/** More than the agent has descriptors for at `ulimit -n 1024`. */
const CROWD = 400;
const PATHS = ['/docs', '/metrics', '/', '/api/vms', '/-/healthy', '/nowhere'];
/** bcrypt hash of "secret". */
const HASH = '$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u';

const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;

function network(name: string, attack: Attack['attack'], more: Partial<Attack> = {}): Attack {
  return { class: 'network', name, command: 'demo', attack, ...more };
}

/** Writes a piece of text every few milliseconds, for ever. */
function drip(pieces: () => string, everyMs: number): (socket: Socket) => void {
  return (socket) => {
    const timer = setInterval(() => socket.write(pieces()), everyMs);
    socket.once('close', () => clearInterval(timer));
  };
}

export const CLIENTS: readonly Attack[] = [
  ...PATHS.map((path) =>
    network(`pipelined requests for ${path}, answers not read`, (target, signal) =>
      keepOpen(target, signal, CROWD, (socket) => socket.write(get(path).repeat(1500))),
    ),
  ),
  ...['/docs', '/metrics'].map((path) =>
    network(`requests for ${path} one by one, answers not read`, (target, signal) =>
      keepOpen(
        target,
        signal,
        CROWD,
        drip(() => get(path), 20),
      ),
    ),
  ),
  network('pipelined requests, answers read', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.resume().write(get('/docs').repeat(100))),
  ),
  network('requests that never end, byte by byte', (target, signal) =>
    keepOpen(
      target,
      signal,
      CROWD,
      drip(() => 'G', 100),
    ),
  ),
  network('connections that send nothing', (target, signal) => keepOpen(target, signal, 2 * CROWD, () => {})),
  network('connections that are opened and reset', async (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.resetAndDestroy()),
  ),
  network('half-open connections', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.end(get('/metrics'))),
  ),
  network('headers of 16 KB that do not end', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.write(`${get('/').slice(0, -2)}X: ${'x'.repeat(16_000)}`)),
  ),
  network('thousands of small headers', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.resume().write(get('/', 'a:b\r\n'.repeat(3000)).repeat(4))),
  ),
  network('long paths, and paths that cannot be decoded', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) =>
      socket
        .resume()
        .write(
          [`/${'%ff'.repeat(4000)}`, `/${'a/'.repeat(6000)}`, '/%', '//x', '/..'].map((path) => get(path)).join(''),
        ),
    ),
  ),
  network('bodies without an end', (target, signal) =>
    keepOpen(target, signal, 50, (socket) => {
      socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n');
      drip(() => 'x'.repeat(1 << 16), 5)(socket);
    }),
  ),
  network('garbage', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.write('\r\n\r\n\0\x16\x03\x01'.repeat(5000))),
  ),
  network(
    'requests under the name of another host',
    async ({ url }, signal) => {
      while (!signal.aborted) await statusOf(`${url}/metrics`, { headers: { host: 'rebound.example' } });
    },
    {
      check: async ({ url }) => {
        const status = await statusOf(`${url}/api/vms`, { headers: { host: 'rebound.example' } });
        return status === 421 ? undefined : `a rebound name gets ${status}`;
      },
    },
  ),
  network('guessed passwords', guessPasswords, {
    prepare: async (folder) => {
      const file = join(folder, 'web.yml');
      writeFileSync(file, `basic_auth_users: {checker: ${HASH}, prometheus: ${HASH}}\n`);
      return [`--web.config.file=${file}`];
    },
    authorization: basic('checker:secret'),
    check: async ({ url }) => {
      const startMs = performance.now();
      const status = await statusOf(`${url}/metrics`, { auth: 'prometheus:secret', timeout: 10_000 });
      const seconds = (performance.now() - startMs) / 1000;
      return status === 200 && seconds < 10 ? undefined : `a new scraper gets ${status} after ${seconds.toFixed(1)} s`;
    },
  }),
  {
    class: 'network',
    name: 'an API server whose list of pods has no end',
    command: 'run',
    prepare: endlessList,
    attack: (_target, signal) => untilAborted(signal),
  },
];

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

async function guessPasswords({ url }: Target, signal: AbortSignal): Promise<void> {
  const guess = async (client: number) => {
    for (let tries = 0; !signal.aborted; tries++)
      await statusOf(`${url}/metrics`, { auth: `prometheus:${client}-${tries}`, signal });
  };
  await Promise.all(Array.from({ length: 100 }, (_, client) => guess(client)));
}

/** Starts the server in this process, and returns the arguments of an agent that asks it. */
async function endlessList(folder: string): Promise<readonly string[]> {
  const pod = JSON.stringify({ metadata: { uid: 'u', name: 'n', namespace: 'n', x: 'x'.repeat(1000) } });
  const server = createServer((_request, response) => {
    const send = () => {
      while (response.write(`${pod},`.repeat(1000)));
    };
    response.on('drain', send).write('{"items":[');
    send();
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const log = join(folder, 'vm.log');
  writeFileSync(log, '');
  return [
    '--no-collector.kernel',
    `--qemu.log=${log}`,
    '--kubernetes',
    '--kubernetes.node=n',
    `--kubernetes.api-server=http://127.0.0.1:${port}`,
  ];
}
