import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

/** Node's channel of requests that begin. */
const CHANNEL = 'http.client.request.start';

/** HTTP status of the answer; `timeout`: there was none in time; `unreachable`: the connection failed. */
export type RequestStatus = `${number}` | 'timeout' | 'unreachable';

/**
 * Reports the status of each request to `url`, retries included, and ends those that are not answered completely in
 * time. The exporter's own time-out begins again with each byte of an answer, so a receiver that sends one a second
 * would keep the only connection for weeks.
 * @returns a function that stops it
 */
export function watchRequests(url: string, timeoutMs: number, onStatus: (status: RequestStatus) => void): () => void {
  const { host, pathname, search } = new URL(url);
  const onStart = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    if (request.getHeader('host') !== host || request.path !== pathname + search) return;
    let isAnswered = false;
    let failure: RequestStatus = 'unreachable';
    const late = new Error(`no complete answer within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => {
      failure = 'timeout';
      request.destroy(late);
    }, timeoutMs).unref();
    // Before the exporter's own listener, so that the status is known when the exporter reports its result.
    request.prependOnceListener('response', ({ statusCode = 0 }: IncomingMessage) => {
      isAnswered = true;
      onStatus(`${statusCode}`);
    });
    request.once('close', () => {
      clearTimeout(timer);
      if (!isAnswered) onStatus(failure);
    });
  };
  subscribe(CHANNEL, onStart);
  return () => unsubscribe(CHANNEL, onStart);
}
