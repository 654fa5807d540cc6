import type { Socket } from 'node:net';
import { openFileLimit } from '../../system/open-file-limit.js';
import { networkOf } from './network.js';

const MAX_CONNECTIONS = 512;
/** Share of the process's file descriptors; the rest is for /proc, the ring buffers and QEMU's logs. */
const MAX_SHARE_OF_FILES = 1 / 4;

/** Maximum number of connections that suits a limit of open files (`ulimit -n`). */
export function maxConnections(limit = openFileLimit()): number {
  return Math.max(1, Math.min(MAX_CONNECTIONS, Math.floor(limit * MAX_SHARE_OF_FILES)));
}

interface Connection {
  readonly socket: Socket;
  readonly network: string;
  /** True while one of its requests is being answered. */
  isActive: boolean;
}

/**
 * Limits the number of open connections. Before a new one exceeds the limit, one connection of the network with the
 * most connections is closed: the one that has been idle for longest (kept open for later, or its request still
 * incomplete), else the one whose answer has taken longest. A plain limit would refuse the new connection instead, and
 * so a client that holds many connections could lock Prometheus out.
 */
export class ConnectionLimiter {
  readonly #limit: number;
  /** Pair of addresses, which a TLS socket and its TCP socket have in common -> connection. Last active comes last. */
  readonly #open = new Map<string, Connection>();
  readonly #perNetwork = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  closeAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  add(socket: Socket): void {
    if (this.#open.size >= this.#limit) this.#closeOne();
    const key = keyOf(socket);
    const connection = { socket, network: networkOf(socket.remoteAddress ?? ''), isActive: false };
    this.#open.set(key, connection);
    this.#perNetwork.set(connection.network, (this.#perNetwork.get(connection.network) ?? 0) + 1);
    socket.once('close', () => this.#remove(key, connection));
  }

  /** Says that an answer to a request on the connection begins or ends. */
  setActive(socket: Socket, isActive: boolean): void {
    const connection = this.touch(socket);
    if (connection !== undefined) connection.isActive = isActive;
  }

  /**
   * Says that bytes have arrived. The connection is not active yet: if those were spared that wait for their turn, the
   * one that has just been accepted would be the only idle one, and be closed.
   */
  touch(socket: Socket): Connection | undefined {
    const key = keyOf(socket);
    const connection = this.#open.get(key);
    if (connection === undefined) return undefined;
    // Moves it to the end of the map: it is the most recently active one.
    this.#open.delete(key);
    this.#open.set(key, connection);
    return connection;
  }

  #closeOne(): void {
    const [[busiest] = ['']] = [...this.#perNetwork].sort(([, a], [, b]) => b - a);
    let victim: [string, Connection] | undefined;
    for (const entry of this.#open) {
      const [, { network, isActive }] = entry;
      if (network !== busiest || (isActive && victim !== undefined)) continue;
      victim = entry;
      if (!isActive) break;
    }
    if (victim === undefined) return;
    this.#remove(...victim);
    victim[1].socket.destroy();
  }

  #remove(key: string, connection: Connection): void {
    if (this.#open.get(key) !== connection) return;
    this.#open.delete(key);
    const { network } = connection;
    const left = (this.#perNetwork.get(network) ?? 0) - 1;
    if (left > 0) this.#perNetwork.set(network, left);
    else this.#perNetwork.delete(network);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
