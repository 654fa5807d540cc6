import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, RequestHandler, Response } from 'express';
import type { PrometheusView } from '../../expose/prometheus.js';
import { refuse } from '../access/refuse.js';
import { acceptsGzip, negotiateFormat } from './content-negotiation.js';
import { ExpositionWriter } from './exposition-writer.js';
import { OpenResponses } from './open-responses.js';

/** Deadline for a response if the scraper sends no timeout; no scraper waits longer. */
const MAX_RESPONSE_MS = 60_000;

/**
 * Answers scrapes of the telemetry path.
 * @param maxRequests maximum number of concurrent scrapes; 0: no limit
 */
export function metricsHandler(view: PrometheusView, maxRequests: number): RequestHandler {
  const writer = new ExpositionWriter(view);
  const open = new OpenResponses();
  let active = 0;
  return async (request, response) => {
    // The client disconnected while its password was checked: no 'close' event would decrement `active` again.
    if (response.destroyed) return;
    if (maxRequests > 0 && active >= maxRequests && !open.disconnectSlowest())
      return refuse(response, 503, `limit of concurrent scrapes reached (${maxRequests}), try again later`);
    active++;
    // A client that reads too slowly is disconnected, so that it does not count against the limit for ever.
    const deadline = setTimeout(() => abort(response), deadlineMs(request));
    response.once('close', () => {
      active--;
      open.delete(response);
      clearTimeout(deadline);
    });
    await answer(writer, open, request, response);
  };
}

async function answer(
  writer: ExpositionWriter,
  open: OpenResponses,
  request: Request,
  response: Response,
): Promise<void> {
  const format = negotiateFormat(request.get('accept'));
  const exposition = await writer.request(format);
  const gzip = acceptsGzip(request.get('accept-encoding'));
  const pieces = gzip ? await exposition.gzipped() : exposition.plain;
  if (response.headersSent || response.destroyed) return;
  open.add(response, exposition);
  response.set({
    // Set with the rest and not by `set('Content-Type', ...)`, which would change the parameters.
    'Content-Type': format.contentType,
    'Content-Length': String(pieces.reduce((sum, { length }) => sum + length, 0)),
    Vary: 'Accept, Accept-Encoding',
    'Cache-Control': 'no-store',
    ...(gzip ? { 'Content-Encoding': 'gzip' } : {}),
  });
  if (request.method === 'HEAD') {
    response.end();
    return exposition.done();
  }
  // A scraper that disconnects before the end is not an error.
  await pipeline(Readable.from(pieces), response).then(
    () => exposition.done(),
    () => {},
  );
}

function abort(response: Response): void {
  if (response.headersSent) response.destroy();
  else refuse(response, 503, 'not done within the scrape timeout');
}

/** 95 % of the timeout that Prometheus sends, so that it still receives the reason. */
function deadlineMs(request: Request): number {
  const seconds = Number(request.get('x-prometheus-scrape-timeout-seconds'));
  return seconds > 0 ? Math.min(seconds * 950, MAX_RESPONSE_MS) : MAX_RESPONSE_MS;
}
