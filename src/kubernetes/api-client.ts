/**
 * Sends `GET PATH` to a Kubernetes API server with the service account's token, and yields the body in pieces as they
 * arrive.
 *
 * A pod gets a folder with `token`, which kubelet renews about hourly, and `ca.crt` (Kubernetes, "Accessing the API
 * from within a Pod"). Both files are read for each request.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { AgentError } from '../system/errors.js';
import { readText } from '../system/files.js';
import { parseStatus } from './pod.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
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
    this.#tokenFile = tokenFile ?? `${SERVICE_ACCOUNT}/token`;
    this.#caFile = caFile ?? `${SERVICE_ACCOUNT}/ca.crt`;
  }

  /**
   * @param accept media types
   * @param timeoutMs for the whole body
   * @throws ApiError if the server refuses, AgentError if it cannot be reached or the timeout expires
   */
  async *get(path: string, accept: string, timeoutMs: number, signal: AbortSignal): AsyncGenerator<string> {
    const url = new URL(this.#url.href.replace(/\/$/, '') + path);
    const deadline = new AbortController();
    const abort = () => deadline.abort();
    const timer = setTimeout(abort, timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) return;
      const response = await this.#request(url, accept, deadline.signal);
      if (response.statusCode !== 200) throw await this.#readError(response);
      yield* response.setEncoding('utf8');
    } catch (error) {
      if (signal.aborted || error instanceof AgentError) throw error;
      const late = deadline.signal.aborted && `no complete answer within ${timeoutMs / 1000} s`;
      const reason = late || (error instanceof Error ? error.message : String(error));
      throw new AgentError(`${this.#url.origin}: ${reason}`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      deadline.abort();
    }
  }

  #request(url: URL, accept: string, signal: AbortSignal): Promise<IncomingMessage> {
    const isSecure = url.protocol === 'https:';
    const authorization = isSecure ? { Authorization: `Bearer ${readText(this.#tokenFile).trim()}` } : {};
    const options = {
      headers: { Accept: accept, 'User-Agent': 'kvm-exit-exporter', ...authorization },
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

  async #readError(response: IncomingMessage): Promise<ApiError> {
    const { statusCode = 0, headers } = response;
    let body = '';
    for await (const chunk of response.setEncoding('utf8')) {
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

const REMEDIES: Record<number, (tokenFile: string) => string> = {
  401: (tokenFile) => `; the token in ${tokenFile} is not accepted`,
  403: () => '; allow the service account to list and watch pods, as deploy/kubernetes does',
};

/** Undefined if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
