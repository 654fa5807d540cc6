import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Request, RequestHandler, Response } from 'express';
import { networkOf } from '../connections/network.js';
import { transportOf } from '../connections/serial-connection.js';
import type { AllowedHosts } from './allowed-hosts.js';
import { BasicAuth, type Client } from './basic-auth.js';
import { isClientAllowed } from './client-certificates.js';
import { RateLimiter } from './rate-limiter.js';
import { refuse } from './refuse.js';
import type { LoadedWebConfig } from './web-config-file.js';

/**
 * The checks that every request has to pass before its path is looked at. `config` returns the web configuration in
 * force.
 */
export function accessCheck(config: () => LoadedWebConfig, hosts: AllowedHosts): RequestHandler {
  const auth = new BasicAuth();
  const limiter = new RateLimiter();
  return async (request, response, next) => {
    const { tls, certificate, users, headers, rateLimit } = config();
    // A connection without the required encryption or certificate is closed without an answer.
    if (!isConnectionAllowed(request, tls)) return void request.socket.destroy();
    // Before anything else that answers: the bytes of a body must not be taken for requests.
    if (hasBody(request)) return refuse(response.set('Connection', 'close'), 413, 'request bodies are not accepted');
    const host = requestedHost(request);
    if (!hosts.allows(host, certificate)) return refuse(response, 421, hosts.refusal(host));
    if (!limiter.allow(rateLimit, performance.now())) return refuse(response, 429, 'too many requests');
    response.set('X-Content-Type-Options', 'nosniff');
    // Kept for pages, whose own headers they override.
    response.locals.headers = headers;
    response.set(headers);
    if (users.size > 0) {
      const verdict = await auth.check(users, request.get('authorization'), clientOf(request, response));
      if (verdict === 'busy') return refuse(response, 503, 'too many passwords to check');
      if (verdict === 'wrong')
        return refuse(response.set('WWW-Authenticate', 'Basic realm="kvm-exit-exporter"'), 401, 'unauthorized');
    }
    next();
  };
}

function isConnectionAllowed(request: Request, tls: LoadedWebConfig['tls']): boolean {
  const socket = transportOf(request.socket);
  // `instanceof` would load TLS for an agent without it.
  if ('encrypted' in socket) return tls !== undefined && isClientAllowed(tls, socket as TLSSocket);
  return tls === undefined;
}

function clientOf(request: Request, response: Response): Client {
  const socket = transportOf(request.socket);
  const address = socket instanceof Socket ? (socket.remoteAddress ?? '') : '';
  return { network: networkOf(address), isGone: () => response.destroyed };
}

/**
 * The host of a whole URL (`GET http://host/path`) if it is one (RFC 9112, 3.2.2); else that of the header. Several
 * headers are no host: a proxy may have looked at another one.
 */
function requestedHost(request: Request): string | undefined {
  const [, authority] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(request.url) ?? [];
  return authority ?? request.headersDistinct.host?.join(',');
}

function hasBody(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || (request.headers['content-length'] ?? '0') !== '0';
}
