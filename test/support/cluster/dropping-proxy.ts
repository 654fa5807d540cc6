import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Passes bytes on, until it drops all those of the connections that are open, which it does not close. */
export class DroppingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(target: string) {
    this.#server = createServer((client) => {
      const server = connect(Number(new URL(target).port), '127.0.0.1');
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
      }
      client.pipe(server).pipe(client);
    });
  }

  static async start(target: string): Promise<DroppingProxy> {
    const proxy = new DroppingProxy(target);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = proxy.#server.address();
    assert.ok(address !== null && typeof address !== 'string');
    proxy.#port = address.port;
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  dropAll(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.resume();
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
