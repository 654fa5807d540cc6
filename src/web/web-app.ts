import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { findingData } from '../advice/finding-data.js';
import type { LastingFinding } from '../advice/lasting-findings.js';
import type { PrometheusView } from '../expose/prometheus.js';
import type { CurrentRates, VmRates } from '../rates/vm-rates.js';
import { log } from '../system/log.js';
import { accessCheck } from './access/access-check.js';
import type { AllowedHosts } from './access/allowed-hosts.js';
import { refuse } from './access/refuse.js';
import type { LoadedWebConfig } from './access/web-config-file.js';
import { HEALTHY_PATHS, READY_PATHS } from './connections/health-check.js';
import { docsPage } from './docs-page.js';
import { findingCells } from './findings-list.js';
import { contentSecurityPolicy, type PageOptions } from './html-page.js';
import { landingPage, REFRESH_SCRIPT, statusLine, tableCells } from './landing-page.js';
import { Manual, SHELF_NAMES } from './manual.js';
import { metricsHandler } from './metrics/metrics-handler.js';
import { rendered } from './rendered.js';

export interface WebOptions {
  readonly prometheus: PrometheusView;
  readonly rates: VmRates;
  /** What to change; the same array until it is looked at again. */
  readonly findings: () => readonly LastingFinding[];
  readonly version: string;
  readonly telemetryPath: string;
  readonly hosts: AllowedHosts;
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
 *   listener.ts              accepts the connection
 *   connections/             not too many of them, one request at a time each, in turn
 *   access/access-check.ts   client certificate, no body, host, rate limit, user and password
 *   web-app.ts               chooses by path: metrics, health, pages
 *   metrics/                 format and compression, one exposition for all who wait, deadline
 *
 * Passwords protect every path, health included, as in Prometheus' exporter-toolkit.
 */
export function webApp(options: WebOptions, config: () => LoadedWebConfig): Express {
  const { prometheus, rates, findings, telemetryPath, maxRequests, notReady, version } = options;
  const pages: PageOptions = { version, telemetryPath, notice: options.notice };
  const app = express();
  for (const setting of ['x-powered-by', 'etag', 'query parser']) app.disable(setting);
  app.enable('case sensitive routing');
  app.use(accessCheck(config, options.hosts));
  const get = (paths: readonly string[], handler: (request: Request, response: Response) => unknown) =>
    app.all([...paths], getOrHead, handler);

  get([telemetryPath], metricsHandler(prometheus, maxRequests) as (request: Request, response: Response) => unknown);
  get(HEALTHY_PATHS, (_request, response) => response.type('text/plain').send('healthy\n'));
  get(READY_PATHS, (_request, response) => sendReadiness(response, notReady()));
  // Written once for each change of the rates, so that all who are slow to read share the bytes.
  const landing = rendered(
    () => [rates.current(), findings()],
    (current, found) => landingPage(pages, current, found),
  );
  const json = rendered(() => [rates.current()], vmsAsJson);
  const advice = rendered(() => [findings()], adviceAsJson);
  const docs = rendered(() => [pages], docsPage);
  get(['/'], (_request, response) => sendPage(response, landing(), REFRESH_SCRIPT));
  get(['/docs'], (_request, response) => sendPage(response, docs(), ''));
  get(['/api/vms'], (_request, response) => sendJson(response, json()));
  get(['/api/vm'], (request, response) => sendDetail(request, response, rates));
  get(['/api/advice'], (_request, response) => sendJson(response, advice()));
  const manual = new Manual(pages);
  for (const shelf of SHELF_NAMES)
    get([shelf, `${shelf}/:name`], async (request, response) => {
      const page = await manual.page(shelf, String(request.params.name ?? 'README'));
      if (page === undefined) refuse(response, 404, 'not found');
      else sendPage(response, page, '');
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

function vmsAsJson(current: CurrentRates): string {
  return JSON.stringify({ ...current, cells: tableCells(current), state: statusLine(current) });
}

function adviceAsJson(findings: readonly LastingFinding[]): string {
  return JSON.stringify({
    findings: findings.map((finding) => ({
      ...findingData(finding),
      lasted_seconds: finding.lastedSeconds,
      cells: findingCells(finding),
    })),
  });
}

/** A name may be any text, so it is a parameter, which is compared with the names of the VMs and nothing else. */
function sendDetail(request: Request, response: Response, rates: VmRates): void {
  const [, query = ''] = request.url.split('?', 2);
  const [vm, another] = new URLSearchParams(query).getAll('name');
  if (vm === undefined || another !== undefined)
    return refuse(response, 400, 'name one VM as /api/vms does: /api/vm?name=NAME');
  const detail = rates.detail(vm);
  if (detail === undefined) refuse(response, 404, 'no such VM');
  else sendJson(response, Buffer.from(JSON.stringify(detail)));
}

function sendJson(response: Response, json: Buffer): void {
  response.set('Cache-Control', 'no-store').type('json').send(json);
}

function sendPage(response: Response, html: Buffer, script: string): void {
  response
    .set('Content-Security-Policy', contentSecurityPolicy(script))
    // Headers of the web configuration file override ours.
    .set(response.locals.headers)
    .set('Cache-Control', 'no-store')
    .type('html')
    .send(html);
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
