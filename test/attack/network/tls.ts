/** Attacks on TLS: handshakes are the costliest thing that a client without a password can ask for. */
import { writeFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { CertificateAuthority } from '../../support/certificate-authority.js';
import { isAvailable } from '../../support/requirements.js';
import type { Attack, Target } from '../attack.js';
import { CROWD, get, keepOpen, untilAborted } from './sockets.js';

/** Bytes of a ClientHello, without an end: a record of 512 bytes that begins one. */
const HALF_HELLO = Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(100, 7)]);
const CLIENTS = 100;

function tls(name: string, attack: Attack['attack']): Attack {
  return {
    class: 'network',
    name: `TLS: ${name}`,
    command: 'demo',
    skip: () => (isAvailable('openssl') ? undefined : 'needs openssl'),
    prepare: async (folder) => {
      const { certFile, keyFile } = new CertificateAuthority().issue('server');
      const file = join(folder, 'web.yml');
      writeFileSync(file, `tls_server_config: {cert_file: ${certFile}, key_file: ${keyFile}}\n`);
      return [`--web.config.file=${file}`];
    },
    attack,
  };
}

export const TLS: readonly Attack[] = [
  tls('handshakes, one after the other', (target, signal) =>
    Promise.all(Array.from({ length: CLIENTS }, () => shakeHands(target, signal))).then(() => {}),
  ),
  tls('handshakes that stop in the middle', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.write(HALF_HELLO)),
  ),
  tls('handshakes byte by byte', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => drip(socket, HALF_HELLO)),
  ),
  tls('garbage after the first message', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.write(Buffer.concat([HALF_HELLO, Buffer.alloc(60_000, 22)]))),
  ),
  tls('plain HTTP', (target, signal) =>
    keepOpen(target, signal, CROWD, (socket) => socket.resume().write(get('/metrics').repeat(100))),
  ),
  tls('renegotiation', (target, signal) =>
    Promise.all(Array.from({ length: CLIENTS }, () => renegotiate(target, signal))).then(() => {}),
  ),
  tls('pipelined requests, answers not read', async (target, signal) => {
    const open = () => {
      const socket = connect({ port: target.port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => {});
      socket.once('secureConnect', () => socket.write(get('/metrics').repeat(500)));
      socket.once('close', () => {
        if (!signal.aborted) setTimeout(open, 50);
      });
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
    };
    for (let client = 0; client < CLIENTS; client++) open();
    await untilAborted(signal);
  }),
];

function drip(socket: Socket, bytes: Buffer): void {
  let sent = 0;
  const timer = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 20);
  socket.once('close', () => clearInterval(timer));
}

/** Completes handshakes without resuming sessions, and sends nothing. */
async function shakeHands({ port }: Target, signal: AbortSignal): Promise<void> {
  while (!signal.aborted)
    await new Promise<void>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => {});
      socket.once('secureConnect', () => socket.destroy());
      socket.once('close', () => resolve());
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
    });
}

/** Asks for a new handshake on a connection again and again, as TLS 1.2 allows. */
async function renegotiate({ port }: Target, signal: AbortSignal): Promise<void> {
  while (!signal.aborted)
    await new Promise<void>((resolve) => {
      const socket = connect({
        socket: connectPlain(port, '127.0.0.1'),
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
      });
      const again = () => socket.destroyed || socket.renegotiate({ rejectUnauthorized: false }, again);
      socket.on('error', () => {});
      socket.once('secureConnect', again);
      socket.once('close', () => resolve());
      signal.addEventListener('abort', () => socket.destroy(), { once: true });
    });
}
