import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { clientRequest } from './access/tls.js';
import type { LoadedWebConfig, WebConfigFile } from './access/web-config-file.js';
import { Connections } from './connections.js';
import { maxConnections } from './max-connections.js';

export interface Address {
  /** Undefined: all. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Requests are a line and a few headers: what takes longer is no scraper. */
const LIMITS = {
  maxHeaderSize: 16 << 10,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 1000,
  // Longer than the usual time between two scrapes, so that a connection serves many of them.
  keepAliveTimeout: 65_000,
} as const;
const HANDSHAKE_MS = 10_000;
const RETRY_MS = 1000;

/**
 * Listens on one address, in the way that the web configuration says at the moment. New certificates hold for new connections; where encryption itself or
 * what is asked of clients changes, the port is opened anew, as Node.js settles that for a server's life.
 */
export class Listener {
  readonly #handler: RequestListener;
  readonly #file: WebConfigFile;
  #config: LoadedWebConfig;
  #server: Server;
  #address: Address;
  #closed = false;
  /** Also those of a server that was replaced. */
  readonly #connections = new Connections(maxConnections());

  private constructor(address: Address, handler: RequestListener, file: WebConfigFile) {
    this.#address = address;
    this.#handler = handler;
    this.#file = file;
    this.#config = file.current;
    this.#server = this.#create();
  }

  /** @throws AgentError where it can't listen there */
  static async open(address: Address, handler: RequestListener, file: WebConfigFile): Promise<Listener> {
    const listener = new Listener(address, handler, file);
    await listener.#listen();
    return listener;
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    const host = address === '::' || address === '0.0.0.0' ? 'localhost' : address;
    return `http${this.#config.tls === undefined ? '' : 's'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  close(): void {
    this.#closed = true;
    this.#server.close();
    this.#connections.closeAll();
  }

  #create(): Server {
    const { tls, secure } = this.#config;
    const server =
      tls === undefined || secure === undefined
        ? createServer(LIMITS, this.#handler)
        : createSecureServer(
            { ...LIMITS, ...secure, ...clientRequest(tls), handshakeTimeout: HANDSHAKE_MS },
            this.#handler,
          );
    this.#connections.watch(server);
    // Before the handshake.
    server.prependListener('connection', () => this.#update());
    server.on('tlsClientError', (error: NodeJS.ErrnoException) =>
      log('debug', 'TLS handshake failed', { because: error.message }),
    );
    return server;
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#address;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(this.#address, error)));
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    });
    this.#server
      .removeAllListeners('error')
      .on('error', (error) => log('error', 'web server', { because: error.message }));
    // Where any port would do, it is this one from now on.
    this.#address = { host, port: (this.#server.address() as AddressInfo).port };
  }

  /** Takes up what the file says now. */
  #update(): void {
    const before = this.#config;
    const now = this.#file.current;
    if (now === before) return;
    this.#config = now;
    if (kindOf(now) !== kindOf(before)) setImmediate(() => void this.#reopen());
    else if (this.#server instanceof SecureServer && now.secure !== undefined)
      this.#server.setSecureContext(now.secure);
  }

  async #reopen(): Promise<void> {
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#server = this.#create();
    try {
      await this.#listen();
      log('info', 'serving anew', { url: this.url });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      log('error', error.message);
      if (!this.#closed) setTimeout(() => void this.#reopen(), RETRY_MS).unref();
    }
    if (this.#closed) this.close();
  }
}

/** What a server cannot change while it listens. */
function kindOf({ tls }: LoadedWebConfig): string {
  return tls === undefined ? 'http' : JSON.stringify(clientRequest(tls));
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already; give another port with --web.listen-address',
  EACCES: 'not permitted; ports below 1024 need root',
  EADDRNOTAVAIL: 'this host does not have that address',
  EMFILE: 'too many open files; raise the limit with ulimit -n',
  ENOTFOUND: 'no such host name',
};

function listenError({ host = '', port }: Address, error: NodeJS.ErrnoException): AgentError {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new AgentError(`cannot listen on ${address}: ${ADVICE[error.code ?? ''] ?? error.message}`, { cause: error });
}
