/**
 * The standard OTEL_* variables that OTLP export goes by, checked. A flag goes before its variable.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/ (1.49)
 *
 * Read here, because the SDK reads them in a part that we do not use: OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER, OTEL_METRIC_EXPORT_*.
 * Checked here and read by the exporter itself: headers, compression, certificates. It would go on without what it cannot understand.
 */
import { accessSync, constants } from 'node:fs';
import { AgentError, fileError } from '../system/errors.js';
import { parseSeconds } from './option-types.js';
import type { Invocation } from './parse-command-line.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface OtlpSettings {
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
}

const DEFAULT_ENDPOINT = 'http://localhost:4318';
const METRICS_PATH = 'v1/metrics';
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 10_000;

/** What is sent as differences: counters of ours are read, as observable ones are; lowmemory means only the histograms then. */
const TEMPORALITIES: Record<string, OtlpSettings['delta']> = {
  cumulative: { sums: false, histograms: false },
  delta: { sums: true, histograms: true },
  lowmemory: { sums: false, histograms: true },
};

/** Undefined where nothing asks for OTLP. @throws AgentError naming every problem */
export function otlpSettings(get: Invocation['get'], environment: Environment = process.env): OtlpSettings | undefined {
  // An empty variable is one that is not set.
  const env = (name: string) => environment[name]?.trim() || undefined;
  const ofMetrics = (name: string) =>
    [`OTEL_EXPORTER_OTLP_METRICS_${name}`, `OTEL_EXPORTER_OTLP_${name}`].find(
      (variable) => env(variable) !== undefined,
    );
  const problems: string[] = [];
  const check = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };

  const exporters = check(() => exportersOf(env('OTEL_METRICS_EXPORTER')));
  const endpoint = check(() => urlOf(get, env));
  if (env('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporters?.includes('none')) return undefined;
  const isAsked = get('otlp.endpoint') !== undefined || ofMetrics('ENDPOINT') !== undefined;
  if (!isAsked && exporters?.includes('otlp') !== true && problems.length === 0) return undefined;

  const timeout = ofMetrics('TIMEOUT') ?? 'OTEL_METRIC_EXPORT_TIMEOUT';
  const intervalMs = check(() => intervalOf(get, env('OTEL_METRIC_EXPORT_INTERVAL')));
  const timeoutMs = check(() => milliseconds(timeout, env(timeout)));
  const delta = check(() => deltaOf(get, env('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE')));
  check(() => oneOf(ofMetrics('PROTOCOL'), env, ['http/protobuf']));
  check(() => oneOf(ofMetrics('COMPRESSION'), env, ['gzip', 'none']));
  check(() => checkHeaders(['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_METRICS_HEADERS'], env));
  for (const file of ['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE']) check(() => readable(ofMetrics(file), env));
  if (problems.length > 0) throw new AgentError(problems.join('\n'));
  return {
    url: endpoint ?? `${DEFAULT_ENDPOINT}/${METRICS_PATH}`,
    intervalMs: intervalMs ?? DEFAULT_INTERVAL_MS,
    timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS,
    delta: delta ?? { sums: false, histograms: false },
  };
}

/** Variables that a pod's manifest fills by the downward API, and the attributes that they become. */
const KUBERNETES: Record<string, string> = {
  K8S_CLUSTER_NAME: 'k8s.cluster.name',
  K8S_NAMESPACE_NAME: 'k8s.namespace.name',
  K8S_NODE_NAME: 'k8s.node.name',
  K8S_POD_NAME: 'k8s.pod.name',
  K8S_POD_UID: 'k8s.pod.uid',
  K8S_CONTAINER_NAME: 'k8s.container.name',
};

export function kubernetesAttributes(environment: Environment = process.env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(KUBERNETES).flatMap(([variable, attribute]) => {
      const value = environment[variable];
      return value === undefined || value === '' ? [] : [[attribute, value]];
    }),
  );
}

type Env = (name: string) => string | undefined;

function exportersOf(value: string | undefined): string[] {
  const names = value?.split(',').map((name) => name.trim()) ?? [];
  // Prometheus is served anyway.
  const unknown = names.filter((name) => !['otlp', 'prometheus', 'none'].includes(name));
  if (unknown.length > 0) throw new AgentError(`OTEL_METRICS_EXPORTER=${value}: expected otlp, prometheus or none`);
  return names;
}

/** Only the variable of metrics alone is taken as it is; the path is added to the others. */
function urlOf(get: Invocation['get'], env: Env): string | undefined {
  const flag = get('otlp.endpoint');
  if (flag !== undefined) return withPath('--otlp.endpoint', flag);
  const own = env('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT');
  if (own !== undefined) return httpUrl('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT', own).href;
  const shared = env('OTEL_EXPORTER_OTLP_ENDPOINT');
  return shared === undefined ? undefined : withPath('OTEL_EXPORTER_OTLP_ENDPOINT', shared);
}

function withPath(name: string, value: string): string {
  const url = httpUrl(name, value);
  if (!url.pathname.endsWith(`/${METRICS_PATH}`)) url.pathname = `${url.pathname.replace(/\/$/, '')}/${METRICS_PATH}`;
  return url.href;
}

function httpUrl(name: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new AgentError(`${name}=${value}: expected a URL such as ${DEFAULT_ENDPOINT}`);
  return url;
}

function intervalOf(get: Invocation['get'], value: string | undefined): number | undefined {
  const flag = get('otlp.interval');
  if (flag === undefined) return milliseconds('OTEL_METRIC_EXPORT_INTERVAL', value);
  const seconds = parseSeconds('otlp.interval', flag);
  if (seconds < 0.1 || seconds > 86_400)
    throw new AgentError(`--otlp.interval=${flag}: expected a duration from 100ms to 24h`);
  return seconds * 1000;
}

function milliseconds(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,8}$/.test(value) || Number(value) === 0)
    throw new AgentError(`${name}=${value}: expected a number of milliseconds`);
  return Number(value);
}

function deltaOf(get: Invocation['get'], value: string | undefined): OtlpSettings['delta'] | undefined {
  const flag = get('otlp.temporality');
  const wanted = flag ?? value?.toLowerCase();
  if (wanted === undefined) return undefined;
  const delta = Object.hasOwn(TEMPORALITIES, wanted) ? TEMPORALITIES[wanted] : undefined;
  const name = flag === undefined ? 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE' : '--otlp.temporality';
  if (delta === undefined) throw new AgentError(`${name}=${flag ?? value}: expected cumulative, delta or lowmemory`);
  return delta;
}

function oneOf(variable: string | undefined, env: Env, choices: readonly string[]): void {
  const value = variable === undefined ? undefined : env(variable);
  if (value !== undefined && !choices.includes(value))
    throw new AgentError(`${variable}=${value}: expected ${choices.join(' or ')}; this program speaks no other`);
}

/** Their values are secrets: they are not repeated. */
function checkHeaders(variables: readonly string[], env: Env): void {
  for (const variable of variables) {
    const pairs = env(variable)?.split(',') ?? [];
    if (pairs.some((pair) => pair.trim() !== '' && !/^\s*[!#$%&'*+.^_`|~\w-]+\s*=/.test(pair)))
      throw new AgentError(`${variable}: expected NAME=VALUE,NAME=VALUE with percent-encoded values`);
  }
}

function readable(variable: string | undefined, env: Env): void {
  const path = variable === undefined ? undefined : env(variable);
  if (path === undefined) return;
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new AgentError(`${variable}: ${fileError(path, error).message}`, { cause: error });
  }
}
