/**
 * Sends `GET PATH` to a Kubernetes API server with the service account's token, and yields the body in pieces as they
 * arrive.
 *
 * A pod gets a folder with `token`, which kubelet renews about hourly, and `ca.crt` (Kubernetes, "Accessing the API
 * from within a Pod"). Both files are read for each request.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AgentError, errnoOf } from '../system/errors.js';
import { readText } from '../system/files.js';
import { hasTooManyValues } from '../system/json-size.js';
import { VERSION } from '../system/version.js';
import { parseStatus } from './pod.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
export const SERVICE_ACCOUNT_TOKEN = `${SERVICE_ACCOUNT}/token`;
/** Idle time after which TCP probes the connection: the server or a NAT on the way may have dropped it. */
const KEEP_ALIVE_MS = 30_000;
/** Characters read from the body of an error. */
const MAX_STATUS_LENGTH = 64 << 10;

export interface ApiClientOptions {
  readonly url: URL;
  /** Undefined: the pod's own. */
  readonly tokenFile: string | undefined;
  /** Undefined: the pod's own. */
  readonly caFile: string | undefined;
}

export interface GetOptions {
  /** Media types. */
  readonly accept: string;
  /** Timeout for the whole body. */
  readonly timeoutMs: number;
  /** Longest time without a byte of the body. */
  readonly silenceMs?: number;
  /** Accepts a compressed body. An API server compresses lists of more than 128 KB, and no watch. */
  readonly compressed?: boolean;
}

/** The server answered with a status other than 200. */
export class ApiError extends AgentError {
  readonly status: number;
  /** Time to wait before the next request, if the server says so. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export class ApiClient {
  readonly #url: URL;
  readonly #tokenFile: string;
  readonly #caFile: string;

  constructor({ url, tokenFile, caFile }: ApiClientOptions) {
    this.#url = url;
    this.#tokenFile = tokenFile ?? SERVICE_ACCOUNT_TOKEN;
    this.#caFile = caFile ?? `${SERVICE_ACCOUNT}/ca.crt`;
  }

  get origin(): string {
    return this.#url.origin;
  }

  /** @throws ApiError if the server refuses, AgentError if it cannot be reached or a timeout expires */
  async *get(path: string, options: GetOptions, signal: AbortSignal): AsyncGenerator<string> {
    const { timeoutMs, silenceMs = timeoutMs } = options;
    const url = new URL(this.#url.href.replace(/\/$/, '') + path);
    const stop = new AbortController();
    let late = '';
    const stopLate = (reason: string) => {
      late ||= reason;
      stop.abort();
    };
    const abort = () => stop.abort();
    const deadline = setTimeout(stopLate, timeoutMs, `no complete answer within ${timeoutMs / 1000} s`);
    const silence = setTimeout(stopLate, silenceMs, `no byte for ${silenceMs / 1000} s, so the connection is lost`);
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) return;
      const response = await this.#request(url, options, stop.signal);
      if (response.statusCode !== 200) throw await this.#readError(response);
      for await (const chunk of bodyOf(response)) {
        silence.refresh();
        yield chunk;
      }
    } catch (error) {
      if (signal.aborted || error instanceof AgentError) throw error;
      throw new AgentError(`${this.#url.origin}: ${late || this.#reasonOf(error)}`, { cause: error });
    } finally {
      clearTimeout(deadline);
      clearTimeout(silence);
      signal.removeEventListener('abort', abort);
      stop.abort();
    }
  }

  #request(url: URL, { accept, compressed = false }: GetOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const isSecure = url.protocol === 'https:';
    const options = {
      headers: {
        Accept: accept,
        'Accept-Encoding': compressed ? 'gzip' : 'identity',
        'User-Agent': `kvm-exit-exporter/${VERSION}`,
        ...(isSecure && { Authorization: `Bearer ${this.#readToken()}` }),
      },
      agent: false,
      signal,
      ...(isSecure && { ca: readText(this.#caFile) }),
    } as const;
    return new Promise((resolve, reject) => {
      const request = isSecure ? requestHttps(url, options) : requestHttp(url, options);
      request.once('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
      request.once('response', resolve);
      request.on('error', reject);
      request.end();
    });
  }

  #readToken(): string {
    const token = readText(this.#tokenFile).trim();
    if (token !== '') return token;
    throw new AgentError(`${this.#tokenFile}: empty; write the service account's token into it`);
  }

  #reasonOf(error: unknown): string {
    const code = errnoOf(error);
    const message = error instanceof Error ? error.message : String(error);
    if (code === 'ECONNRESET') return 'connection lost';
    if (UNKNOWN_CA.test(code)) return `${message}; ${this.#caFile} must hold the CA of the API server's certificate`;
    if (BAD_CERTIFICATE.test(code)) return `${message}; the CA is the one in ${this.#caFile}`;
    return message;
  }

  async #readError(response: IncomingMessage): Promise<ApiError> {
    const { statusCode = 0, headers } = response;
    let body = '';
    for await (const chunk of bodyOf(response)) {
      body += chunk;
      if (body.length > MAX_STATUS_LENGTH) break;
    }
    const { message } = parseStatus(parseJson(body));
    const remedy = REMEDIES[statusCode]?.(this.#tokenFile) ?? '';
    const text = `${this.#url.origin}: HTTP ${statusCode}${message && `: ${message}`}${remedy}`;
    const seconds = Number(headers['retry-after']);
    return new ApiError(statusCode, text, seconds > 0 ? seconds * 1000 : undefined);
  }
}

/** Node's codes of certificates that no known CA has signed: `SELF_SIGNED_CERT_IN_CHAIN` ... */
const UNKNOWN_CA = /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED|INVALID_CA)/;
/** Those of other certificates that are refused: `CERT_HAS_EXPIRED`, `ERR_TLS_CERT_ALTNAME_INVALID` ... */
const BAD_CERTIFICATE = /CERT|HOSTNAME_MISMATCH/;

/** The text of the body, unpacked. */
function bodyOf(response: IncomingMessage): Readable {
  const isPacked = response.headers['content-encoding'] === 'gzip';
  // The callback is needed, but has nothing to do: the reader of the unpacked stream gets the error.
  const body = isPacked ? pipeline(response, createGunzip(), () => {}) : response;
  return body.setEncoding('utf8');
}

const REMEDIES: Record<number, (tokenFile: string) => string> = {
  401: (tokenFile) => `; the token in ${tokenFile} is not accepted`,
  403: () => '; allow the service account to list and watch pods, as deploy/kubernetes does',
};

/** Undefined if the text is not JSON, or has too many values. */
export function parseJson(text: string): unknown {
  try {
    return hasTooManyValues(text) ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
