import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { clientCertificateOptions } from './access/client-certificates.js';
import type { LoadedWebConfig, WebConfigFile } from './access/web-config-file.js';
import { ConnectionLimiter, maxConnections } from './connection-limiter.js';

export interface Address {
  /** Undefined: all addresses of the host. */
  readonly host: string | undefined;
  readonly port: number;
}

/** A scraper's request is one line and a few headers; anything larger or slower is refused. */
const HTTP_OPTIONS = {
  maxHeaderSize: 16 << 10,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 1000,
  // Longer than the usual scrape interval of one minute, so that scrapes share a connection.
  keepAliveTimeout: 65_000,
} as const;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const RETRY_MS = 1000;

/**
 * Serves HTTP or HTTPS on one address, as the web configuration file says at the moment. New certificates apply to the
 * next connection. Switching TLS on or off, or changing what is required of clients, closes the port and opens it
 * again, because a Node.js server cannot change these while it listens.
 */
export class Listener {
  readonly #handler: RequestListener;
  readonly #file: WebConfigFile;
  #config: LoadedWebConfig;
  #server: Server;
  #address: Address;
  #isClosed = false;
  /** Includes connections of servers that were replaced. */
  readonly #connections = new ConnectionLimiter(maxConnections());

  private constructor(address: Address, handler: RequestListener, file: WebConfigFile) {
    this.#address = address;
    this.#handler = handler;
    this.#file = file;
    this.#config = file.current;
    this.#server = this.#createServer();
  }

  /** @throws AgentError if it cannot listen on the address */
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
    this.#isClosed = true;
    this.#server.close();
    this.#connections.closeAll();
  }

  #createServer(): Server {
    const { tls, secure } = this.#config;
    const server =
      tls === undefined || secure === undefined
        ? createServer(HTTP_OPTIONS, this.#handler)
        : createSecureServer(
            {
              ...HTTP_OPTIONS,
              ...secure,
              ...clientCertificateOptions(tls),
              handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
            },
            this.#handler,
          );
    this.#connections.watch(server);
    // Prepended, so that it runs before the TLS handshake.
    server.prependListener('connection', () => this.#applyConfig());
    server.on('tlsClientError', (error: NodeJS.ErrnoException) =>
      log('debug', 'TLS handshake failed', { err: error.message }),
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
      .on('error', (error) => log('error', 'web server failed', { err: error.message }));
    // Port 0 means any free port. It is kept when the port is opened again.
    this.#address = { host, port: (this.#server.address() as AddressInfo).port };
  }

  #applyConfig(): void {
    const previous = this.#config;
    const current = this.#file.current;
    if (current === previous) return;
    this.#config = current;
    if (fixedOptions(current) !== fixedOptions(previous)) setImmediate(() => void this.#reopen());
    else if (this.#server instanceof SecureServer && current.secure !== undefined)
      this.#server.setSecureContext(current.secure);
  }

  async #reopen(): Promise<void> {
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#server = this.#createServer();
    try {
      await this.#listen();
      log('info', 'serving with changed TLS settings', { url: this.url });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      log('error', error.message);
      if (!this.#isClosed) setTimeout(() => void this.#reopen(), RETRY_MS).unref();
    }
    if (this.#isClosed) this.close();
  }
}

/** A text that differs if the server has to be replaced. */
function fixedOptions({ tls }: LoadedWebConfig): string {
  return tls === undefined ? 'http' : JSON.stringify(clientCertificateOptions(tls));
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already; choose another port with --web.listen-address',
  EACCES: 'not permitted; ports below 1024 need root',
  EADDRNOTAVAIL: 'this host does not have that address',
  EMFILE: 'too many open files; raise the limit with ulimit -n',
  ENOTFOUND: 'no such host name',
};

function listenError({ host = '', port }: Address, error: NodeJS.ErrnoException): AgentError {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new AgentError(`cannot listen on ${address}: ${ADVICE[error.code ?? ''] ?? error.message}`, { cause: error });
}
