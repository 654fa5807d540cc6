import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { AgentError } from '../system/errors.js';
import { log } from '../system/log.js';
import { clientCertificateOptions } from './access/client-certificates.js';
import type { LoadedWebConfig, WebConfigFile } from './access/web-config-file.js';
import { afterFirstBytes } from './connections/after-first-bytes.js';
import { ConnectionLimiter, maxConnections } from './connections/connection-limiter.js';
import { SerialConnection } from './connections/serial-connection.js';
import { TurnQueue } from './connections/turn-queue.js';

export interface Address {
  /** Undefined: all addresses of the host. */
  readonly host: string | undefined;
  readonly port: number;
}

/** A scraper's request is one line and a few headers; anything larger is refused. */
const HTTP_OPTIONS = {
  maxHeaderSize: 16 << 10,
  // Longer than the usual scrape interval of one minute, so that scrapes share a connection.
  keepAliveTimeout: 65_000,
} as const;
/** How long nothing may be sent while a request is answered: a client that does not read is disconnected. */
const IDLE_MS = 20_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** What the listeners of all addresses share: the limits are those of the program. */
export class SharedLimits {
  readonly connections = new ConnectionLimiter(maxConnections());
  readonly turns = new TurnQueue();
}

/**
 * Serves HTTP or HTTPS on one address, as the web configuration file says at the moment: changes apply to the next
 * connection. The port belongs to a plain TCP server, which gives each connection to Node's TLS server, if it needs
 * one, and then to Node's HTTP server.
 */
export class Listener {
  readonly #file: WebConfigFile;
  readonly #tcp: Server;
  readonly #http: HttpServer;
  /** Undefined: plain HTTP. */
  #tls: TlsServer | undefined;
  #config: LoadedWebConfig;
  readonly #connections: ConnectionLimiter;
  readonly #turns: TurnQueue;

  private constructor(handler: RequestListener, file: WebConfigFile, { connections, turns }: SharedLimits) {
    this.#connections = connections;
    this.#turns = turns;
    this.#file = file;
    this.#config = file.current;
    this.#tls = this.#createTlsServer();
    const serve: RequestListener = (request, response) => {
      const connection: unknown = request.socket;
      if (connection instanceof SerialConnection && connection.begin(response)) handler(request, response);
    };
    this.#http = createHttpServer(HTTP_OPTIONS, serve);
    // By itself Node.js would answer an Expect header without the limits of SerialConnection. A server may ignore what
    // it does not know there (RFC 9110, 10.1.1), and bodies are refused.
    this.#http.on('checkContinue', serve).on('checkExpectation', serve);
    // No limit of their number, beyond which headers would be dropped: their size is limited.
    this.#http.maxHeadersCount = 0;
    this.#http.timeout = IDLE_MS;
    // Half open, so that the HTTP server decides what happens when a client ends its half.
    this.#tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** @throws AgentError if it cannot listen on the address */
  static async open(
    address: Address,
    handler: RequestListener,
    file: WebConfigFile,
    limits: SharedLimits,
  ): Promise<Listener> {
    const listener = new Listener(handler, file, limits);
    await listener.#listen(address);
    return listener;
  }

  /** The URL at which a browser on this machine reaches it. */
  get url(): string {
    const { address, port } = this.#tcp.address() as AddressInfo;
    const isAny = address === '::' || address === '0.0.0.0';
    return `http${this.#config.tls === undefined ? '' : 's'}://${joined(isAny ? 'localhost' : address, port)}`;
  }

  /** Address and port that it listens on: `[::]:10586` is all addresses of the host. */
  get address(): string {
    const { address, port } = this.#tcp.address() as AddressInfo;
    return joined(address, port);
  }

  close(): void {
    this.#tcp.close();
    this.#connections.closeAll();
  }

  async #listen({ host, port }: Address): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once('error', (error) => reject(listenError({ host, port }, error)));
      this.#tcp.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    });
    this.#tcp
      .removeAllListeners('error')
      .on('error', (error) => log('error', 'web server failed', { err: error.message }));
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {});
    this.#connections.add(socket);
    this.#turns.noteConnection();
    this.#applyConfig();
    const tls = this.#tls;
    const touch = () => this.#connections.touch(socket);
    afterFirstBytes(socket, this.#turns, touch, () =>
      tls === undefined ? this.#serve(socket) : tls.emit('connection', socket),
    );
  }

  #serve(transport: Socket): void {
    const setActive = (isActive: boolean) => this.#connections.setActive(transport, isActive);
    this.#http.emit('connection', new SerialConnection(transport, this.#turns, setActive));
  }

  #applyConfig(): void {
    const previous = this.#config;
    const current = this.#file.current;
    if (current === previous) return;
    this.#config = current;
    if (fixedOptions(current) !== fixedOptions(previous)) {
      this.#tls = this.#createTlsServer();
      log('info', 'serving with changed TLS settings', { url: this.url });
    } else if (current.secure !== undefined) this.#tls?.setSecureContext(current.secure);
  }

  /** It does not listen: it gets its connections from {@link #accept}. */
  #createTlsServer(): TlsServer | undefined {
    const { tls, secure } = this.#config;
    if (tls === undefined || secure === undefined) return undefined;
    const options = { ALPNProtocols: ['http/1.1'], handshakeTimeout: HANDSHAKE_TIMEOUT_MS };
    const server = createTlsServer({ ...options, ...secure, ...clientCertificateOptions(tls) });
    server.on('secureConnection', (socket) => this.#serve(socket));
    server.on('tlsClientError', (error, socket) => {
      log('debug', 'TLS handshake failed', { err: error.message });
      socket.destroy();
    });
    return server;
  }
}

/** A text that differs if the TLS server has to be replaced. */
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

function joined(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
