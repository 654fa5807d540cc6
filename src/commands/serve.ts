import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { listen } from '../expose/http.js';
import { log } from '../log.js';
import { stopSignal } from './stop-signal.js';

export interface Serving {
  /** Aborted by SIGTERM and SIGINT. */
  readonly signal: AbortSignal;
  close(): void;
}

/** Serves until told to stop. A second signal ends the program at once. */
export async function serve(app: Express, address: string): Promise<Serving> {
  const server = await listen(app, address);
  const signal = stopSignal();
  log('info', 'serving', { url: urlOf(server.address(), '/metrics') });
  return {
    signal,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function urlOf(address: AddressInfo | string | null, path: string): string {
  if (address === null || typeof address === 'string') return path;
  const host = address.address === '::' || address.address === '0.0.0.0' ? 'localhost' : address.address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}${path}`;
}
