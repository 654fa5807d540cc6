/** Attacks by requests of unusual kinds, and by clients that read slowly. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { statusOf } from '../../support/agent/web-agent.js';
import type { Attack, Target } from '../attack.js';
import { CROWD, get, keepOpen } from './sockets.js';

const HOST = 'Host: localhost\r\n';
const SMUGGLED = get('/smuggled');

/** Requests that are refused, or answered in an unusual way. Each is complete. */
const KINDS: Readonly<Record<string, string>> = {
  HEAD: `HEAD /metrics HTTP/1.1\r\n${HOST}\r\n`,
  'If-None-Match and If-Modified-Since': get(
    '/docs',
    'If-None-Match: *\r\nIf-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT\r\n',
  ),
  'an unknown path': get('/nowhere'),
  'a method that is not allowed': `DELETE /metrics HTTP/1.1\r\n${HOST}\r\n`,
  'a body with a length': `POST /metrics HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  'a chunked body with trailers': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: a\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n`,
  'a length and chunks': `POST / HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'Expect: 100-continue': `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n`,
  'an expectation that cannot be met': get('/docs', 'Expect: 200-nothing\r\n'),
  'an upgrade to WebSocket': get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n'),
  'an upgrade to HTTP/2': get(
    '/',
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n',
  ),
  'HTTP/2 without asking': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\0'.repeat(500)}`,
  CONNECT: `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n`,
  'OPTIONS *': `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  TRACE: `TRACE / HTTP/1.1\r\n${HOST}\r\n`,
  ranges: get('/metrics', `Range: bytes=${Array.from({ length: 1000 }, (_, i) => `${i}-`).join()}\r\n`),
  'a name of a header of 15 KB': get('/', `${'x'.repeat(15_000)}: y\r\n`),
  'a thousand formats': get('/metrics', `Accept: ${'text/plain;q=0.1,'.repeat(800)}*/*\r\n`),
  'a thousand encodings': get('/metrics', `Accept-Encoding: ${'gzip;q=0.001,'.repeat(1000)}*\r\n`),
  'HTTP/1.0 with keep-alive': 'GET /docs HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'a whole URL': `GET http://localhost/metrics HTTP/1.1\r\n${HOST}\r\n`,
  'OpenMetrics with gzip': get('/metrics', 'Accept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n'),
};

/** Paths and names that lead nowhere. Each is answered by a status of its own, in the time of any other. */
const STRAY_PATHS: Readonly<Record<string, readonly string[]>> = {
  'out of the folder of pages': [
    '/runbooks/..%2f..%2fpackage.json',
    '/runbooks/%2e%2e/%2e%2e/etc/passwd',
    '/runbooks/KvmFatalExit%00.md',
    '/advice/..%5c..%5cpackage',
    '/advice/hpet.md',
    '/advice//etc/passwd',
    '/advice/__proto__',
    '/assets/..%2f..%2fpackage.json/x',
    '/assets/constructor/toString',
    `/runbooks/${'a/'.repeat(5000)}`,
  ],
  'of VMs that do not exist': [
    '/vm?name=..%2f..%2fetc%2fpasswd',
    '/vm?name=__proto__',
    '/api/vm?name=constructor',
    '/api/history?name=%00',
    '/api/history?name=\\..\\..',
    `/api/history?name=${'%25'.repeat(3000)}`,
    `/vm?${'name=a&'.repeat(1500)}`,
    '/api/history?name=%ff%fe',
    '/vm?name',
  ],
};

const MAX_TRIES = 5;
const VMS = 8;
const VCPUS = 100;
const REASONS = 25;

const SLOWLY_READ = [
  '/metrics',
  '/api/vms',
  '/api/vm?name=web-1',
  '/api/history',
  '/api/history?name=legacy-db',
  '/docs',
  '/',
  '/vm?name=web-1',
  '/advice',
  '/runbooks/KvmFatalExit',
];

export const REQUESTS: readonly Attack[] = [
  ...Object.entries(KINDS).map(
    ([name, request]): Attack => ({
      class: 'network',
      name: `requests of a kind, pipelined: ${name}`,
      command: 'demo',
      attack: (target, signal) =>
        keepOpen(target, signal, CROWD, (socket) => socket.write(request.repeat(Math.ceil(100_000 / request.length)))),
      check: async (target) => {
        const answers = await answersTo(target, request);
        // The bytes of a body are no request: they would be answered with 404 for /smuggled.
        return request.includes(SMUGGLED) && answers.length > 1 ? `a body is answered: ${answers.join()}` : undefined;
      },
    }),
  ),
  ...Object.entries(STRAY_PATHS).map(
    ([name, paths]): Attack => ({
      class: 'network',
      name: `paths ${name}`,
      command: 'demo',
      attack: (target, signal) =>
        keepOpen(target, signal, CROWD, (socket) => {
          socket.resume().write(
            paths
              .map((path) => get(path))
              .join('')
              .repeat(20),
          );
        }),
      check: async (target) => {
        for (const path of paths) {
          let status: number | string = '';
          // A connection may have to give way to those of the crowd.
          for (let tries = 0; typeof status === 'string' && tries < MAX_TRIES; tries++)
            status = await statusOf(target.url, { path, signal: AbortSignal.timeout(5000) });
          if (status !== 404 && status !== 400) return `${path.slice(0, 50)}: ${status}`;
        }
        return undefined;
      },
    }),
  ),
  {
    class: 'network',
    name: 'requests of all kinds at once, answers read',
    command: 'demo',
    attack: (target, signal) => {
      const kinds = Object.values(KINDS);
      let next = 0;
      return keepOpen(target, signal, CROWD, (socket) => socket.resume().write(kinds[next++ % kinds.length] ?? ''));
    },
  },
  ...SLOWLY_READ.map(
    (path): Attack => ({
      class: 'network',
      name: `slow readers of ${path}, with gzip`,
      command: 'demo',
      attack: (target, signal) =>
        keepOpen(target, signal, CROWD, (socket) => {
          socket.write(get(path, 'Accept-Encoding: gzip\r\n').repeat(50));
          readSlowly(socket);
        }),
    }),
  ),
  {
    class: 'network',
    name: 'headers line by line, for ever',
    command: 'demo',
    attack: (target, signal) =>
      keepOpen(target, signal, CROWD, (socket) => {
        socket.write(get('/').slice(0, -2));
        const timer = setInterval(() => socket.write('a: b\r\n'), 50);
        socket.once('close', () => clearInterval(timer));
      }),
  },
  {
    class: 'network',
    name: 'scrapes of 20,000 series, answers not read',
    command: 'run',
    prepare: async (folder) => {
      for (let vm = 0; vm < VMS; vm++) writeFileSync(join(folder, `vm-${vm}.log`), '');
      setTimeout(() => writeSeries(folder), 1000).unref();
      return ['--no-collector.kernel', `--qemu.log=${join(folder, '*.log')}`];
    },
    attack: (target, signal) =>
      keepOpen(target, signal, CROWD, (socket) => {
        socket.write(get('/metrics', Math.random() < 0.5 ? 'Accept-Encoding: gzip\r\n' : '').repeat(20));
        readSlowly(socket);
      }),
  },
];

function readSlowly(socket: Socket): void {
  const timer = setInterval(() => socket.read(100), 20);
  socket.once('close', () => clearInterval(timer));
}

function writeSeries(folder: string): void {
  for (let vm = 0; vm < VMS; vm++)
    for (let vcpu = 0; vcpu < VCPUS; vcpu++)
      appendFileSync(
        join(folder, `vm-${vm}.log`),
        Array.from({ length: REASONS }, (_, reason) => `kvm_run_exit cpu_index ${vcpu}, reason ${reason}\n`).join(''),
      );
}

/** Status lines of the answers to the bytes of a request, within a second. */
async function answersTo({ port }: Target, request: string): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.write(request);
  await sleep(1000);
  socket.destroy();
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status = '']) => status);
}
