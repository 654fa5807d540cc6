import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { openFileLimit } from '../system/open-file-limit.js';

const MAX_CONNECTIONS = 512;
/** Share of the process's file descriptors; the rest is for /proc, the ring buffers and QEMU's logs. */
const MAX_SHARE_OF_FILES = 1 / 4;

/** Maximum number of connections that suits a limit of open files (`ulimit -n`). */
export function maxConnections(limit = openFileLimit()): number {
  return Math.max(1, Math.min(MAX_CONNECTIONS, Math.floor(limit * MAX_SHARE_OF_FILES)));
}

interface Connection {
  readonly socket: Socket;
  /** Requests of this connection that are being answered. */
  activeRequests: number;
}

/**
 * Limits the number of open connections. If a new one exceeds the limit, the connection that has been idle for longest
 * is closed: one kept open for later, or one whose request is still incomplete. A plain limit would refuse the new
 * connection instead, and idle clients could lock Prometheus out.
 */
export class ConnectionLimiter {
  readonly #limit: number;
  /**
   * Least recently active first. The key is the pair of addresses, which a TLS socket and its TCP socket have in
   * common.
   */
  readonly #open = new Map<string, Connection>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  closeAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#add(socket));
    server.on('request', ({ socket }, response) => {
      this.#addActiveRequests(socket, 1);
      response.once('close', () => this.#addActiveRequests(socket, -1));
    });
  }

  #add(socket: Socket): void {
    const key = keyOf(socket);
    this.#open.set(key, { socket, activeRequests: 0 });
    socket.once('close', () => {
      if (this.#open.get(key)?.socket === socket) this.#open.delete(key);
    });
    if (this.#open.size <= this.#limit) return;
    const [idle] = [...this.#open].filter(([, { activeRequests }]) => activeRequests === 0);
    if (idle === undefined) return;
    this.#open.delete(idle[0]);
    idle[1].socket.destroy();
  }

  #addActiveRequests(socket: Socket, change: 1 | -1): void {
    const key = keyOf(socket);
    const connection = this.#open.get(key);
    if (connection === undefined) return;
    connection.activeRequests += change;
    // Moves it to the end of the map: it is the most recently active one.
    this.#open.delete(key);
    this.#open.set(key, connection);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
