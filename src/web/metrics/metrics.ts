import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, RequestHandler, Response } from 'express';
import type { PrometheusView } from '../../expose/prometheus.js';
import { refuse } from '../access/guard.js';
import { acceptsGzip, formatFor } from './accept.js';
import { Readers } from './readers.js';
import { Scrapes } from './scrapes.js';

/** Longest time for an answer where the scraper does not say: more than any scraper waits. */
const LONGEST_MS = 60_000;

/** `maxRequests` 0: any number at once. */
export function metricsHandler(view: PrometheusView, maxRequests: number): RequestHandler {
  const scrapes = new Scrapes(view);
  const readers = new Readers();
  let underWay = 0;
  return async (request, response) => {
    // Gone while its password was checked: it takes no place, which nobody would free again.
    if (response.destroyed) return;
    if (maxRequests > 0 && underWay >= maxRequests)
      return refuse(response, 503, `limit of concurrent scrapes reached (${maxRequests}), try again later`);
    underWay++;
    // Whoever reads slowly or not at all is cut off, and their place is free again.
    const late = setTimeout(() => giveUp(response), timeoutMs(request));
    response.once('close', () => {
      underWay--;
      clearTimeout(late);
    });
    await answer(scrapes, readers, request, response);
  };
}

async function answer(scrapes: Scrapes, readers: Readers, request: Request, response: Response): Promise<void> {
  const format = formatFor(request.get('accept'));
  const exposition = await scrapes.take(format);
  const gzip = acceptsGzip(request.get('accept-encoding'));
  const pieces = gzip ? await exposition.gzipped() : exposition.plain;
  if (response.headersSent || response.destroyed) return;
  readers.add(exposition, response);
  response.set({
    // Not by set('Content-Type'), which would know better about the parameters.
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
  // A scraper that goes away in the middle is nobody's fault.
  await pipeline(Readable.from(pieces), response).then(
    () => exposition.done(),
    () => {},
  );
}

function giveUp(response: Response): void {
  if (response.headersSent) response.destroy();
  else refuse(response, 503, 'not done within the time that the scraper waits');
}

/** Prometheus says how long it waits; a little less, so that it hears the reason. */
function timeoutMs(request: Request): number {
  const seconds = Number(request.get('x-prometheus-scrape-timeout-seconds'));
  return seconds > 0 ? Math.min(seconds * 950, LONGEST_MS) : LONGEST_MS;
}
