import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';

/** Node's channel of requests that begin. */
const CHANNEL = 'http.client.request.start';

/**
 * Ends each request to `url` that is not answered completely in time. The exporter's own time-out begins again with
 * each byte of an answer, so a receiver that sends one a second would keep the only connection for weeks.
 * @returns a function that stops it
 */
export function limitRequests(url: string, timeoutMs: number): () => void {
  const { host, pathname, search } = new URL(url);
  const onStart = (message: unknown) => {
    const { request } = message as { readonly request: ClientRequest };
    if (request.getHeader('host') !== host || request.path !== pathname + search) return;
    const late = new Error(`no complete answer within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => request.destroy(late), timeoutMs).unref();
    request.once('close', () => clearTimeout(timer));
  };
  subscribe(CHANNEL, onStart);
  return () => unsubscribe(CHANNEL, onStart);
}
