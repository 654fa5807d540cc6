import { TLSSocket } from 'node:tls';
import type { Request, RequestHandler } from 'express';
import { BasicAuth } from './basic-auth.js';
import { isClientAllowed } from './client-certificates.js';
import { RateLimiter } from './rate-limiter.js';
import { refuse } from './refuse.js';
import type { LoadedWebConfig } from './web-config-file.js';

/**
 * The checks that every request has to pass before its path is looked at. `config` returns the web configuration in
 * force.
 */
export function accessCheck(config: () => LoadedWebConfig): RequestHandler {
  const auth = new BasicAuth();
  const limiter = new RateLimiter();
  return async (request, response, next) => {
    const { tls, users, headers, rateLimit } = config();
    // A connection without the required encryption or certificate is closed without an answer.
    if (!isConnectionAllowed(request, tls)) return void request.socket.destroy();
    if (!limiter.allow(rateLimit, performance.now())) return refuse(response, 429, 'too many requests');
    response.set('X-Content-Type-Options', 'nosniff');
    // Kept for pages, whose own headers they override.
    response.locals.headers = headers;
    response.set(headers);
    if (users.size > 0) {
      const verdict = await auth.check(users, request.get('authorization'));
      if (verdict === 'busy') return refuse(response, 503, 'too many passwords to check');
      if (verdict === 'wrong')
        return refuse(response.set('WWW-Authenticate', 'Basic realm="kvm-exit-exporter"'), 401, 'unauthorized');
    }
    if (hasBody(request)) return refuse(response.set('Connection', 'close'), 413, 'request bodies are not accepted');
    next();
  };
}

function isConnectionAllowed({ socket }: Request, tls: LoadedWebConfig['tls']): boolean {
  if (socket instanceof TLSSocket) return tls !== undefined && isClientAllowed(tls, socket);
  return tls === undefined;
}

function hasBody(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || (request.headers['content-length'] ?? '0') !== '0';
}
