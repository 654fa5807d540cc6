import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { isHealthCheck } from './health-check.js';
import type { TurnQueue } from './turn-queue.js';

/** How long a request may take to arrive, from the connection or from its first byte on. */
const REQUEST_MS = 10_000;
/** How long a response may take. No scraper waits longer than a minute (metrics-handler.ts). */
const RESPONSE_MS = 65_000;
/** Bytes of further requests that a connection may send ahead; no scraper or browser sends any. */
const MAX_AHEAD = 4 << 10;
const TIMED_OUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';
const NOTHING = Buffer.alloc(0);
const [LF, CR] = [10, 13];

/**
 * A connection as Node's HTTP server sees it: one that sends its next request only when the response to the one before
 * is written.
 *
 * HTTP allows a client to send many requests at once (pipelining), and Node's HTTP server begins to answer all that it
 * finds in what it has read, thousands in 64 KiB. All the responses stay in memory if the client does not read. Here
 * the rest of the bytes waits, and the client's next bytes stay in the kernel.
 *
 * Each request ends with an empty line, because access-check.ts closes the connection of a request with a body.
 */
export class SerialConnection extends Duplex {
  /** The connection itself: a TLSSocket if it is encrypted. */
  readonly transport: Socket;
  readonly #turns: TurnQueue;
  readonly #onActive: (isActive: boolean) => void;
  /** Received and not yet handed over. */
  #bytes: Buffer = NOTHING;
  /** True if the client has ended its half of the connection, and the HTTP server does not know it yet. */
  #hasEnded = false;
  /** True if the HTTP server wants more bytes. */
  #isWanted = false;
  #isAnswering = false;
  /** True until the first turn. */
  #isFresh = true;
  /** True if the connection ends with the response that is being written. */
  #isLast = false;
  /** True from a request's first byte to the empty line at its end. */
  #isInRequest = false;
  #isLineEmpty = true;
  #timer: NodeJS.Timeout | undefined;

  /** @param onActive called when an answer begins (true), and when it ends or a request is incomplete (false) */
  constructor(transport: Socket, turns: TurnQueue, onActive: (isActive: boolean) => void) {
    super();
    this.#onActive = onActive;
    this.transport = transport;
    this.#turns = turns;
    this.#expectRequest();
    transport.on('data', (bytes: Buffer) => {
      transport.pause();
      this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
      if (this.#isAnswering) this.#limitBytes();
      this.#wantTurn();
    });
    transport.once('end', () => {
      this.#hasEnded = true;
      this.#passEnd();
    });
    transport.on('timeout', () => this.emit('timeout'));
    transport.once('error', (error) => this.destroy(error));
    transport.once('close', () => this.destroy());
  }

  /** Waits with the next request until `response` is written. False: the request is not to be answered. */
  begin(response: ServerResponse): boolean {
    // The HTTP server has found a second request in the bytes of one.
    if (this.#isAnswering) this.destroy();
    else {
      this.#isAnswering = true;
      this.#onActive(true);
      this.#limitBytes();
      this.#startTimer(RESPONSE_MS, () => this.destroy());
      response.once('close', () => {
        this.#isAnswering = false;
        this.#onActive(false);
        clearTimeout(this.#timer);
        if (this.#isLast) this.destroySoon();
        this.#wantTurn();
      });
    }
    return !this.destroyed;
  }

  /** Hands over the bytes up to the end of a request, if there are so many. */
  takeTurn(): void {
    if (!this.#isReady()) return;
    this.#isFresh = false;
    const bytes = this.#takeRequest();
    if (this.#bytes.length === 0) this.transport.resume();
    if (bytes.length > 0) {
      this.#isWanted = false;
      this.push(bytes);
      if (!this.#isAnswering) this.#onActive(false);
    }
    this.#passEnd();
  }

  /** Tells the HTTP server, even while it answers, that the client has ended: it may have given up. */
  #passEnd(): void {
    if (!this.#hasEnded || this.#bytes.length > 0) return;
    this.#hasEnded = false;
    this.push(null);
  }

  /** If the client has sent too much ahead of the response: drops all of it, and lets the connection end then. */
  #limitBytes(): void {
    if (this.#bytes.length > MAX_AHEAD) this.#isLast = true;
    // A copy, because a part of a chunk keeps all 64 KiB of it.
    this.#bytes = this.#isLast ? NOTHING : Buffer.from(this.#bytes);
  }

  #isReady(): boolean {
    return this.#isWanted && !this.#isAnswering && !this.writableEnded && !this.destroyed;
  }

  #wantTurn(): void {
    if (!this.#isReady() || this.#bytes.length === 0) return;
    this.#turns.add(this, isHealthCheck(this.#bytes) ? 'urgent' : this.#isFresh ? 'first' : 'rest');
  }

  /** Removes the bytes up to the first empty line from {@link #bytes}. Empty lines before a request are dropped. */
  #takeRequest(): Buffer {
    const bytes = this.#bytes;
    let from = 0;
    if (!this.#isInRequest) while (bytes[from] === CR || bytes[from] === LF) from++;
    if (!this.#isInRequest && from < bytes.length) {
      this.#isInRequest = true;
      this.#isLineEmpty = true;
      this.#expectRequest();
    }
    let to = from;
    while (this.#isInRequest && to < bytes.length) {
      const byte = bytes[to++];
      if (byte !== LF) this.#isLineEmpty = this.#isLineEmpty && byte === CR;
      else if (this.#isLineEmpty) this.#isInRequest = false;
      else this.#isLineEmpty = true;
    }
    this.#bytes = to < bytes.length ? bytes.subarray(to) : NOTHING;
    return bytes.subarray(from, to);
  }

  #expectRequest(): void {
    this.#startTimer(REQUEST_MS, () => {
      if (this.writable) this.write(TIMED_OUT);
      this.destroySoon();
    });
  }

  #startTimer(ms: number, expire: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(expire, ms).unref();
  }

  /** As of a socket: the HTTP server calls it after the last response. */
  destroySoon(): void {
    if (this.writableFinished) return void this.destroy();
    this.once('finish', () => this.destroy());
    this.end();
  }

  /** As of a socket: the HTTP server sets how long the connection may be idle. */
  setTimeout(ms: number): this {
    this.transport.setTimeout(ms);
    return this;
  }

  override _read(): void {
    this.#isWanted = true;
    this.#wantTurn();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.transport.write(bytes, done);
  }

  override _writev(pieces: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.transport.cork();
    for (const [index, { chunk }] of pieces.entries())
      this.transport.write(chunk, index === pieces.length - 1 ? done : undefined);
    this.transport.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.transport.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#turns.delete(this);
    this.#bytes = NOTHING;
    this.transport.destroy();
    done(error);
  }
}

/** The socket below a request's connection. */
export function transportOf(connection: Duplex): Duplex {
  return connection instanceof SerialConnection ? connection.transport : connection;
}
