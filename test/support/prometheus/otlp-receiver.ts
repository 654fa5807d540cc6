/** An OTLP receiver that keeps the requests it gets, decoded by otlp-decoder.ts. */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { endLater } from '../end-later.js';
import { HANG_MS } from '../patience.js';
import { decodeOtlp, type OtlpMetric, type OtlpPoint, type OtlpRequest } from './otlp-decoder.js';

export interface Received extends OtlpRequest {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: number;
}

export interface ReceiverOptions {
  readonly port?: number;
  readonly tls?: ServerOptions;
  readonly status?: () => Answer | Promise<Answer>;
}

/**
 * Status of an answer. Undefined: the request is never answered, and not kept. With the words it is kept; `trickle` is
 * an answer of one byte after the other without end.
 */
export type Answer = number | 'silence' | 'reset' | 'trickle' | undefined;

export interface Receiver {
  readonly port: number;
  readonly requests: Received[];
  /** Waits until `count` requests have arrived in total. */
  atLeast(count: number, withinMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startReceiver({ port = 0, tls, status = () => 200 }: ReceiverOptions = {}): Promise<Receiver> {
  const requests: Received[] = [];
  const server: Server = tls === undefined ? createServer() : createTlsServer(tls);
  server.on('request', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const code = await status();
      const sent = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      if (code === 200 || typeof code === 'string')
        requests.push({ ...decodeOtlp(body), url: request.url ?? '', headers: request.headers, bytes: sent.length });
      if (code === 'trickle') {
        const timer = setInterval(() => response.write('x'), 30);
        response.once('close', () => clearInterval(timer));
      } else if (code === 'reset') request.socket.resetAndDestroy();
      else if (typeof code === 'number') response.writeHead(code, { 'Content-Type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const isEnded = endLater(stop);
  return {
    port: address.port,
    requests,
    async atLeast(count, withinMs = HANG_MS) {
      const deadline = Date.now() + withinMs;
      while (requests.length < count) {
        if (Date.now() > deadline) assert.fail(`${requests.length} requests, not ${count}, within ${withinMs} ms`);
        await sleep(10);
      }
    },
    async stop() {
      isEnded();
      await stop();
    },
  };
}

export function metricOf(request: OtlpRequest | undefined, name: string): OtlpMetric | undefined {
  return request?.metrics.find((metric) => metric.name === name);
}

/**
 * The increase of a sum over all requests, from points with these attributes: deltas, of which a receiver takes each
 * once. Two points of a series with the same times are one.
 */
export function increaseIn(requests: readonly OtlpRequest[], name: string, attributes: Record<string, string>): number {
  const points = new Map<string, number>();
  for (const { attributes: own, startNs, timeNs, value } of requests.flatMap(
    (request) => metricOf(request, name)?.points ?? [],
  ))
    if (Object.entries(attributes).every(([key, wanted]) => own[key] === wanted))
      points.set(JSON.stringify([Object.entries(own).sort(), String(startNs), String(timeNs)]), value);
  return [...points.values()].reduce((sum, value) => sum + value, 0);
}

/** The first point that has all of these attributes. */
export function pointOf(
  request: OtlpRequest | undefined,
  name: string,
  attributes: Record<string, string> = {},
): OtlpPoint | undefined {
  return metricOf(request, name)?.points.find((point) =>
    Object.entries(attributes).every(([key, value]) => point.attributes[key] === value),
  );
}

/**
 * Converts requests into Prometheus series and their values, by OpenTelemetry's "Prometheus and OpenMetrics
 * compatibility": dots become underscores, units are spelled out where the name has them not yet, annotations in
 * braces are dropped, sums end in _total.
 */
export function asPrometheus(requests: readonly OtlpRequest[]): Map<string, number> {
  const series = new Map<string, number>();
  const put = (name: string, attributes: Record<string, string>, value: number) => {
    const key = JSON.stringify([name, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))]);
    assert.ok(!series.has(key), `duplicate series: ${key}`);
    series.set(key, value);
  };
  for (const { name, unit, kind, monotonic, points } of requests.flatMap(({ metrics }) => metrics)) {
    const suffix = UNITS[unit] ?? (unit.startsWith('{') ? '' : `_${unit}`);
    const plain = name.replaceAll('.', '_');
    const base = plain.endsWith(suffix) ? plain : plain + suffix;
    for (const point of points) {
      if (kind !== 'histogram') {
        put(monotonic ? `${base}_total` : base, point.attributes, point.value);
        continue;
      }
      let upTo = 0;
      point.bucketCounts.forEach((count, index) => {
        upTo += count;
        put(`${base}_bucket`, { ...point.attributes, le: String(point.bounds[index] ?? '+Inf') }, upTo);
      });
      put(`${base}_sum`, point.attributes, point.sum);
      put(`${base}_count`, point.attributes, point.count);
    }
  }
  return series;
}

const UNITS: Record<string, string> = { s: '_seconds', By: '_bytes', '': '' };
