/**
 * Requests to a Kubernetes API server: `GET PATH` with the service account's token, the answer as text in pieces as it comes.
 *
 * What a pod is given for it (Kubernetes, "Accessing the API from within a Pod"): a folder with `token`, which kubelet renews about hourly,
 * and `ca.crt`. Both files are read for each request.
 */
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { AgentError, fileError } from '../system/errors.js';
import { readStatus } from './pod.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A connection that says nothing for so long is asked whether it is still there: the server, or a NAT on the way, may have forgotten it. */
const KEEP_ALIVE_MS = 30_000;
/** Of an answer that says why not. */
const MAX_STATUS = 64 << 10;

export interface ApiServerOptions {
  readonly url: URL;
  // Undefined: the pod's own.
  readonly tokenFile: string | undefined;
  readonly caFile: string | undefined;
}

/** The server's answer was not 200. */
export class ApiError extends AgentError {
  readonly status: number;
  /** When it wants to be asked again; undefined where it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export class ApiServer {
  readonly #url: URL;
  readonly #tokenFile: string;
  readonly #caFile: string;

  constructor({ url, tokenFile, caFile }: ApiServerOptions) {
    this.#url = url;
    this.#tokenFile = tokenFile ?? `${SERVICE_ACCOUNT}/token`;
    this.#caFile = caFile ?? `${SERVICE_ACCOUNT}/ca.crt`;
  }

  /**
   * The answer's text. Ends, with an error, where it has not all come within `timeoutMs`.
   * @param accept media types
   * @throws ApiError where the server refuses, other errors where it can't be reached
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
      if (response.statusCode !== 200) throw await this.#refusal(response);
      yield* response.setEncoding('utf8');
    } catch (error) {
      if (signal.aborted || error instanceof AgentError) throw error;
      const late = deadline.signal.aborted && `no whole answer within ${timeoutMs / 1000} s`;
      const words = late || (error instanceof Error ? error.message : String(error));
      throw new AgentError(`${this.#url.origin}: ${words}`, { cause: error });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      deadline.abort();
    }
  }

  #request(url: URL, accept: string, signal: AbortSignal): Promise<IncomingMessage> {
    const secure = url.protocol === 'https:';
    const authorization = secure ? { Authorization: `Bearer ${readFile(this.#tokenFile).trim()}` } : {};
    const options = {
      headers: { Accept: accept, 'User-Agent': 'kvm-exit-exporter', ...authorization },
      agent: false,
      signal,
      ...(secure && { ca: readFile(this.#caFile) }),
    } as const;
    return new Promise((resolve, reject) => {
      const request = secure ? requestHttps(url, options) : requestHttp(url, options);
      request.once('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
      request.once('response', resolve);
      request.on('error', reject);
      request.end();
    });
  }

  async #refusal(response: IncomingMessage): Promise<ApiError> {
    const { statusCode = 0, headers } = response;
    let body = '';
    for await (const chunk of response.setEncoding('utf8')) {
      body += chunk;
      if (body.length > MAX_STATUS) break;
    }
    const { message } = readStatus(parse(body));
    const remedy = REMEDIES[statusCode]?.(this.#tokenFile) ?? '';
    const words = `${this.#url.origin}: HTTP ${statusCode}${message && `: ${message}`}${remedy}`;
    const seconds = Number(headers['retry-after']);
    return new ApiError(statusCode, words, seconds > 0 ? seconds * 1000 : undefined);
  }
}

const REMEDIES: Record<number, (tokenFile: string) => string> = {
  401: (tokenFile) => `; the token in ${tokenFile} is not accepted`,
  403: () => '; give the service account list and watch of pods, as deploy/kubernetes does',
};

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(path, error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
