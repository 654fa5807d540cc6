import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * At most so many connections at once. For a new one too many, that goes which has been idle for longest - kept open for later, or sending
 * its request byte by byte. So nobody keeps others out by opening connections and saying nothing, which a plain limit would let them.
 */
export class Connections {
  readonly #most: number;
  /** By the address of the other end, which says the same below and above TLS. In order of what they did last. */
  readonly #open = new Map<string, { readonly socket: Socket; answers: number }>();

  constructor(most: number) {
    this.#most = most;
  }

  closeAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#add(socket));
    server.on('request', ({ socket }, response) => {
      this.#answers(socket, 1);
      response.once('close', () => this.#answers(socket, -1));
    });
  }

  #add(socket: Socket): void {
    const key = keyOf(socket);
    this.#open.set(key, { socket, answers: 0 });
    socket.once('close', () => {
      if (this.#open.get(key)?.socket === socket) this.#open.delete(key);
    });
    if (this.#open.size <= this.#most) return;
    const [idle] = [...this.#open].filter(([, { answers }]) => answers === 0);
    if (idle === undefined) return;
    this.#open.delete(idle[0]);
    idle[1].socket.destroy();
  }

  #answers(socket: Socket, change: 1 | -1): void {
    const key = keyOf(socket);
    const connection = this.#open.get(key);
    if (connection === undefined) return;
    connection.answers += change;
    this.#open.delete(key);
    this.#open.set(key, connection);
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
