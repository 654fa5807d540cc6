import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '../attack.js';

/** More than the agent accepts connections at `ulimit -n 1024`. */
export const CROWD = 400;

export function get(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
}

/** How long a client waits before it connects again. */
const RECONNECT_MS = 20;

/**
 * Keeps `count` connections open until `signal` is aborted: one that is closed is replaced. `use` gets each new one; it
 * does not read unless `use` makes it.
 */
export async function keepOpen(
  { port }: Target,
  signal: AbortSignal,
  count: number,
  use: (socket: Socket) => void,
): Promise<void> {
  const sockets = new Set<Socket>();
  const open = () => {
    if (signal.aborted) return;
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('connect', () => use(socket));
    socket.once('close', () => {
      sockets.delete(socket);
      setTimeout(open, RECONNECT_MS);
    });
  };
  for (let opened = 0; opened < count; opened++) open();
  await untilAborted(signal);
  for (const socket of sockets) socket.destroy();
}

export async function untilAborted(signal: AbortSignal): Promise<void> {
  await sleep(60_000, undefined, { signal }).catch(() => {});
}
