import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Ports below are those of well-known services. */
const LOWEST = 15_000;
const MAX_TRIES = 1000;

/**
 * A TCP port of this host without a listener, for programs that cannot report which port they chose. The kernel gives
 * it to no other socket meanwhile, because it is below those that the kernel chooses itself.
 */
export async function freePort(): Promise<number> {
  const [first = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/);
  // Where the kernel chooses from all ports, a chosen one is as good as any.
  const below = Number(first) > LOWEST + MAX_TRIES ? Number(first) : undefined;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const wanted = below === undefined ? 0 : LOWEST + Math.floor(Math.random() * (below - LOWEST));
    const port = await portOf(wanted);
    if (port !== undefined) return port;
  }
  throw new Error('no TCP port');
}

/** The port if a socket can listen on it; undefined if none can. */
async function portOf(wanted: number): Promise<number | undefined> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(wanted, '127.0.0.1', () => resolve(true));
  });
  if (!isListening) return undefined;
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return address === null || typeof address === 'string' ? undefined : address.port;
}
