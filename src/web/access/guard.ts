/** What every request has to pass, before anything is looked up for it. */
import { type TLSSocket, TLSSocket as Tls } from 'node:tls';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { BasicAuth } from './basic-auth.js';
import { RateLimiter } from './rate-limiter.js';
import { clientAllowed } from './tls.js';
import type { LoadedWebConfig } from './web-config-file.js';

const TRY_LATER_SECONDS = '1';

export function guard(config: () => LoadedWebConfig): RequestHandler {
  const auth = new BasicAuth();
  const limiter = new RateLimiter();
  return async (request, response, next) => {
    const { tls, users, headers, rateLimit } = config();
    // Certificate and encryption are a matter of the connection: who has not what is asked for gets no answer.
    if (!connectionAllowed(request, tls)) return void request.socket.destroy();
    if (!limiter.allow(rateLimit, performance.now())) return refuse(response, 429, 'too many requests');
    response.set('X-Content-Type-Options', 'nosniff');
    // What the user sets goes before what a page of ours would set.
    response.locals.headers = headers;
    response.set(headers);
    if (users.size > 0) {
      const verdict = await auth.check(users, request.get('authorization'));
      if (verdict === 'busy') return refuse(response, 503, 'too many passwords to check');
      if (verdict === 'wrong')
        return refuse(response.set('WWW-Authenticate', 'Basic realm="kvm-exit-exporter"'), 401, 'unauthorized');
    }
    if (hasBody(request)) return refuse(response.set('Connection', 'close'), 413, 'no request here has a body');
    next();
  };
}

function connectionAllowed({ socket }: Request, tls: LoadedWebConfig['tls']): boolean {
  if (socket instanceof Tls) return tls !== undefined && clientAllowed(tls, socket as TLSSocket);
  return tls === undefined;
}

function hasBody(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || (request.headers['content-length'] ?? '0') !== '0';
}

export function refuse(response: Response, status: number, reason: string): void {
  if (status === 429 || status === 503) response.set('Retry-After', TRY_LATER_SECONDS);
  response.status(status).type('text/plain').send(`${reason}\n`);
}

/** For paths that can be read only. */
export function readOnly(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else refuse(response.set('Allow', 'GET, HEAD'), 405, 'only GET and HEAD');
}
