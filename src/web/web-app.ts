import { randomBytes } from 'node:crypto';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { PrometheusView } from '../expose/prometheus.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { log } from '../system/log.js';
import { accessCheck } from './access/access-check.js';
import { refuse } from './access/refuse.js';
import type { LoadedWebConfig } from './access/web-config-file.js';
import { docsPage } from './docs-page.js';
import { contentSecurityPolicy, type PageOptions } from './html-page.js';
import { landingPage, statusLine, tableCells } from './landing-page.js';
import { metricsHandler } from './metrics/metrics-handler.js';
import { VmRates } from './vm-rates.js';

export interface WebOptions {
  readonly prometheus: PrometheusView;
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  readonly telemetryPath: string;
  /** Maximum number of concurrent scrapes; 0: no limit. */
  readonly maxRequests: number;
  /** Reason the agent is not ready, or undefined once the requested sources are being read. */
  readonly notReady: () => string | undefined;
  /** Text shown at the top of every page. */
  readonly notice?: string;
}

/**
 * Everything that the web server serves. A request passes these stations:
 *
 *   listener.ts              accepts the connection; connection-limiter.ts closes an idle one if there are too many
 *   access/access-check.ts   client certificate, rate limit, user and password, no body
 *   web-app.ts               chooses by path: metrics, health, pages
 *   metrics/                 format and compression, one exposition for all who wait, deadline
 *
 * Passwords protect every path, health included, as in Prometheus' exporter-toolkit.
 */
export function webApp(options: WebOptions, config: () => LoadedWebConfig): Express {
  const { prometheus, telemetryPath, maxRequests, notReady, version } = options;
  const rates = new VmRates(options.takeSnapshot);
  const pages: PageOptions = { version, telemetryPath, notice: options.notice };
  const app = express();
  for (const setting of ['x-powered-by', 'etag', 'query parser']) app.disable(setting);
  app.enable('case sensitive routing');
  app.use(accessCheck(config));
  const get = (paths: string[], handler: (request: Request, response: Response) => unknown) =>
    app.all(paths, getOrHead, handler);

  get([telemetryPath], metricsHandler(prometheus, maxRequests) as (request: Request, response: Response) => unknown);
  get(['/-/healthy', '/healthz'], (_request, response) => response.type('text/plain').send('healthy\n'));
  get(['/-/ready', '/readyz'], (_request, response) => sendReadiness(response, notReady()));
  get(['/'], (_request, response) => sendPage(response, (nonce) => landingPage(pages, rates.current(), nonce)));
  get(['/docs'], (_request, response) => sendPage(response, (nonce) => docsPage(pages, nonce)));
  get(['/api/vms'], (_request, response) => {
    const current = rates.current();
    response
      .set('Cache-Control', 'no-store')
      .json({ ...current, cells: tableCells(current), state: statusLine(current) });
  });
  app.use((_request, response) => refuse(response, 404, 'not found'));
  app.use(onError);
  return app;
}

function getOrHead(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else refuse(response.set('Allow', 'GET, HEAD'), 405, 'only GET and HEAD');
}

function sendReadiness(response: Response, reason: string | undefined): void {
  if (reason === undefined) response.type('text/plain').send('ready\n');
  else refuse(response, 503, `not ready: ${reason}`);
}

function sendPage(response: Response, html: (nonce: string) => string): void {
  const nonce = randomBytes(16).toString('base64');
  response
    .set('Content-Security-Policy', contentSecurityPolicy(nonce))
    // Headers of the web configuration file override ours.
    .set(response.locals.headers)
    .set('Cache-Control', 'no-store')
    .type('html')
    .send(html(nonce));
}

/**
 * Handles a URL that cannot be decoded (400) or a bug of this program (500). Express recognises it by its four
 * parameters.
 */
function onError(error: unknown, request: Request, response: Response, _next: NextFunction): void {
  const status = error instanceof URIError ? 400 : 500;
  if (status === 500)
    log('error', 'a request failed', { path: request.path, err: error instanceof Error ? error.stack : error });
  if (response.headersSent) response.destroy();
  else refuse(response, status, status === 400 ? 'bad request' : 'internal error');
}
