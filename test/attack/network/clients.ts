/** Attacks of clients of the web server. */
import type { Socket } from 'node:net';
import { Assets } from '../../../src/web/assets.js';
import type { Attack } from '../attack.js';
import { CROWD, get, keepOpen } from './sockets.js';

const PATHS = [
  '/docs',
  '/metrics',
  '/',
  '/vm?name=web-1',
  '/api/vms',
  '/api/vm?name=web-1',
  '/api/history',
  '/api/history?name=legacy-db',
  new Assets().href('uplot.js'),
  '/-/healthy',
  '/nowhere',
];

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
];
