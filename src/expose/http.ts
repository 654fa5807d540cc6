import { createServer, type Server } from 'node:http';
import express, { type Express } from 'express';
import { AgentError } from '../agent-error.js';
import type { PrometheusView } from './prometheus.js';

export interface HttpOptions {
  readonly prometheus: PrometheusView;
  readonly version: string;
  /** Said on the landing page, above all else. */
  readonly notice?: string;
}

export function httpApp({ prometheus, version, notice }: HttpOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.get('/metrics', async (_request, response) => {
    response.set('Content-Type', prometheus.contentType).send(await prometheus.render());
  });
  app.get('/', (_request, response) => {
    response.type('html').send(landingPage(version, notice));
  });
  return app;
}

/** `HOST:PORT`, `:PORT`, `[::1]:PORT`. Resolves when it listens. @throws AgentError where it can't */
export async function listen(app: Express, address: string): Promise<Server> {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new AgentError(`--web.listen-address ${address}: expected HOST:PORT, [IPV6]:PORT or :PORT, port 0 to 65535`);
  }
  const host = match[1] ?? match[2];
  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
    server.listen({ port, ...(host ? { host } : {}) }, resolve);
  });
  return server;
}

function listenError(address: string, error: NodeJS.ErrnoException): AgentError {
  const advice: Record<string, string> = {
    EADDRINUSE: 'another program listens there already; give another port with --web.listen-address',
    EACCES: 'not permitted; ports below 1024 need root',
    EADDRNOTAVAIL: 'this host does not have that address',
    ENOTFOUND: 'no such host name',
  };
  return new AgentError(`cannot listen on ${address}: ${advice[error.code ?? ''] ?? error.message}`, { cause: error });
}

function landingPage(version: string, notice: string | undefined): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kvm-exit-exporter</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem; color: #222; background: #fff }
.notice { background: #fff3cd; border-left: 4px solid #e0a800; padding: .5rem 1rem }
footer { color: #666; font-size: .85rem }
</style>
</head>
<body>
<h1>kvm-exit-exporter</h1>
${notice === undefined ? '' : `<p class="notice">${notice}</p>`}
<p>How many VM exits end up in QEMU, of which VM, why, and what do they cost?</p>
<ul><li><a href="/metrics">/metrics</a> for Prometheus</li></ul>
<footer>version ${version}</footer>
</body>
</html>
`;
}
