import { randomBytes } from 'node:crypto';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { PrometheusView } from '../expose/prometheus.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { log } from '../system/log.js';
import { guard, readOnly, refuse } from './access/guard.js';
import type { LoadedWebConfig } from './access/web-config-file.js';
import { metricsHandler } from './metrics/metrics.js';
import { cellsOf, contentSecurityPolicy, docsPage, landingPage, type PageOptions, stateOf } from './pages.js';
import { VmRates } from './vm-rates.js';

export interface WebOptions {
  readonly prometheus: PrometheusView;
  readonly takeSnapshot: () => Snapshot;
  readonly version: string;
  readonly telemetryPath: string;
  /** Scrapes at once; 0: any number. */
  readonly maxRequests: number;
  /** Why the agent does not do its work yet; undefined: it does. */
  readonly notReady: () => string | undefined;
  /** Said on the landing page, above all else. */
  readonly notice?: string;
}

/** All that is served. As with exporter-toolkit, passwords protect every path, health included. */
export function webApp(options: WebOptions, config: () => LoadedWebConfig): Express {
  const { prometheus, telemetryPath, maxRequests, notReady, version } = options;
  const rates = new VmRates(options.takeSnapshot);
  const pages: PageOptions = { version, telemetryPath, notice: options.notice };
  const app = express();
  for (const setting of ['x-powered-by', 'etag', 'query parser']) app.disable(setting);
  app.enable('case sensitive routing');
  app.use(guard(config));
  const get = (paths: string[], handler: (request: Request, response: Response) => unknown) =>
    app.all(paths, readOnly, handler);

  get([telemetryPath], metricsHandler(prometheus, maxRequests) as (request: Request, response: Response) => unknown);
  get(['/-/healthy', '/healthz'], (_request, response) => response.type('text/plain').send('healthy\n'));
  get(['/-/ready', '/readyz'], (_request, response) => {
    const reason = notReady();
    if (reason === undefined) response.type('text/plain').send('ready\n');
    else refuse(response, 503, `not ready: ${reason}`);
  });
  get(['/'], (_request, response) => sendPage(response, (nonce) => landingPage(pages, rates.answer(), nonce)));
  get(['/docs'], (_request, response) => sendPage(response, (nonce) => docsPage(pages, nonce)));
  get(['/api/vms'], (_request, response) => {
    const answer = rates.answer();
    response.set('Cache-Control', 'no-store').json({ ...answer, cells: cellsOf(answer), state: stateOf(answer) });
  });
  app.use((_request, response) => refuse(response, 404, 'not found'));
  app.use(onError);
  return app;
}

function sendPage(response: Response, html: (nonce: string) => string): void {
  const nonce = randomBytes(16).toString('base64');
  response
    .set('Content-Security-Policy', contentSecurityPolicy(nonce))
    .set(response.locals.headers)
    .set('Cache-Control', 'no-store')
    .type('html')
    .send(html(nonce));
}

/** A bug of ours, or a URL that can't be decoded. Four parameters, by which Express knows it. */
function onError(error: unknown, request: Request, response: Response, _next: NextFunction): void {
  const status = error instanceof URIError ? 400 : 500;
  if (status === 500)
    log('error', 'a request failed', { path: request.path, error: error instanceof Error ? error.stack : error });
  if (response.headersSent) response.destroy();
  else refuse(response, status, status === 400 ? 'bad request' : 'internal error');
}
