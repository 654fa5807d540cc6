import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { findingData } from '../advice/finding-data.js';
import type { LastingFinding } from '../advice/lasting-findings.js';
import type { PrometheusView } from '../expose/prometheus.js';
import type { History } from '../history/history.js';
import type { VmRates } from '../rates/vm-rates.js';
import { log } from '../system/log.js';
import { stackTrace } from '../system/program/stack-trace.js';
import { accessCheck } from './access/access-check.js';
import type { AllowedHosts } from './access/allowed-hosts.js';
import { refuse } from './access/refuse.js';
import type { LoadedWebConfig } from './access/web-config-file.js';
import { type Asset, Assets } from './assets.js';
import { HEALTHY_PATHS, READY_PATHS } from './connections/health-check.js';
import { docsPage } from './docs-page.js';
import { overviewHistoryJson, vmHistoryJson } from './history-json.js';
import { CONTENT_SECURITY_POLICY, type PageOptions } from './html-page.js';
import { landingPage } from './landing-page.js';
import { Manual, SHELF_NAMES } from './manual.js';
import { metricsHandler } from './metrics/metrics-handler.js';
import { rendered, renderedByName } from './rendered.js';
import { vmPage } from './vm-page.js';

export interface WebOptions {
  readonly prometheus: PrometheusView;
  readonly rates: VmRates;
  readonly history: History;
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
  const { prometheus, rates, history, findings, telemetryPath, maxRequests, notReady, version } = options;
  const assets = new Assets();
  const pages: PageOptions = { version, telemetryPath, notice: options.notice, href: (name) => assets.href(name) };
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
  const json = rendered(() => [rates.current()], JSON.stringify);
  const advice = rendered(() => [findings()], adviceAsJson);
  const docs = rendered(() => [pages], docsPage);
  const currentRates = () => rates.current();
  const detail = renderedByName(currentRates, (name) => JSON.stringify(rates.detail(name)));
  const vm = renderedByName(currentRates, (name) => {
    const found = rates.detail(name);
    return found && vmPage(pages, found, findings());
  });
  const lastStep = () => history.steps.position;
  const overview = rendered(
    () => [lastStep()],
    (_step) => overviewHistoryJson(history),
  );
  const vmHistory = renderedByName(lastStep, (name) =>
    rates.detail(name) === undefined ? undefined : vmHistoryJson(history, name),
  );
  get(['/'], (_request, response) => sendPage(response, landing()));
  get(['/vm'], (request, response) => sendOfVm(request, response, vm, sendPage));
  get(['/docs'], (_request, response) => sendPage(response, docs()));
  get(['/api/vms'], (_request, response) => sendJson(response, json()));
  get(['/api/vm'], (request, response) => sendOfVm(request, response, detail, sendJson));
  get(['/api/history'], (request, response) => {
    if (request.url.includes('?')) sendOfVm(request, response, vmHistory, sendJson);
    else sendJson(response, overview());
  });
  get(['/api/advice'], (_request, response) => sendJson(response, advice()));
  get(['/assets/:version/:name'], (request, response) => {
    const asset = assets.find(String(request.params.version), String(request.params.name));
    if (asset === undefined) refuse(response, 404, 'not found');
    else sendAsset(response, asset);
  });
  const manual = new Manual(pages);
  for (const shelf of SHELF_NAMES)
    get([shelf, `${shelf}/:name`], async (request, response) => {
      const { name } = request.params;
      const page = await (name === undefined ? manual.index(shelf) : manual.page(shelf, String(name)));
      if (page === undefined) refuse(response, 404, 'not found');
      else sendPage(response, page);
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

function adviceAsJson(findings: readonly LastingFinding[]): string {
  return JSON.stringify({
    findings: findings.map((finding) => ({
      ...findingData(finding),
      lasted_seconds: finding.lastedSeconds,
    })),
  });
}

/** A name may be any text, so it is a parameter, which is compared with the names of the VMs and nothing else. */
function sendOfVm(
  request: Request,
  response: Response,
  find: (vm: string) => Buffer | undefined,
  send: (response: Response, bytes: Buffer) => void,
): void {
  const [, query = ''] = request.url.split('?', 2);
  const [vm, another] = new URLSearchParams(query).getAll('name');
  if (vm === undefined || another !== undefined)
    return refuse(response, 400, `name one VM as /api/vms does: ${request.path}?name=NAME`);
  const bytes = find(vm);
  if (bytes === undefined) refuse(response, 404, 'no such VM');
  else send(response, bytes);
}

function sendJson(response: Response, json: Buffer): void {
  response.set('Cache-Control', 'no-store').type('json').send(json);
}

/** The address changes with the content. */
function sendAsset(response: Response, { type, bytes }: Asset): void {
  response
    .set('Cache-Control', 'private, max-age=86400, immutable')
    .set('X-Content-Type-Options', 'nosniff')
    .type(type)
    .send(bytes);
}

function sendPage(response: Response, html: Buffer): void {
  response
    .set('Content-Security-Policy', CONTENT_SECURITY_POLICY)
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
  if (status === 500) log('error', 'a request failed', { path: request.path, err: stackTrace(error) });
  if (response.headersSent) response.destroy();
  else refuse(response, status, status === 400 ? 'bad request' : 'internal error');
}
