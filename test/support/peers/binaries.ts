/**
 * The programs that the agent's figures go to: Prometheus 3 with promtool, Alertmanager with amtool, an OpenTelemetry
 * Collector, and VictoriaMetrics with vmalert. `build.ts` builds them once, into a cache outside of the checkout.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { skipUnless } from '../requirements.js';

export const VERSIONS = {
  /** v0.316 is the module of Prometheus 3.16. */
  prometheus: 'v0.316.0',
  alertmanager: 'v0.35.0',
  collector: 'v0.161.0',
  /** Version of the collector's stable modules. */
  collectorStable: 'v1.67.0',
  victoriaMetrics: 'v1.150.0',
} as const;

const [, MINOR, PATCH] = VERSIONS.prometheus.slice(1).split('.');
/** The version that Prometheus calls itself. */
export const PROMETHEUS_VERSION = `3.${Number(MINOR) - 300}.${PATCH}`;

export const PEERS = [
  'prometheus',
  'promtool',
  'alertmanager',
  'amtool',
  'otelcol',
  'victoria-metrics',
  'vmalert',
] as const;
export type Peer = (typeof PEERS)[number];

const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** Another version has a folder of its own. */
export const CACHE_FOLDER = join(CACHE, 'kvm-exit-exporter-peers', Object.values(VERSIONS).join('_'));

export function pathOfPeer(name: Peer): string {
  return join(CACHE_FOLDER, name);
}

/** True if the program was not built: it appears in the cache at once or not at all. */
export function isMissing(name: Peer): boolean {
  return !existsSync(pathOfPeer(name));
}

/** Options for `test`: skips it unless the programs are in the cache. */
export function needsPeers(): { skip: string | false } {
  return skipUnless('peers', !PEERS.some(isMissing));
}
