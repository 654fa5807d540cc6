/**
 * The settings of OTLP export, from our options and the standard OTEL_* variables; an option overrides its variable.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/ (1.49)
 *
 * This file reads OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER and OTEL_METRIC_EXPORT_* itself, because the part of the SDK
 * that does is not used. The exporter reads headers, compression and certificates, but ignores what it does not
 * understand, so they are checked here.
 */
import { AgentError } from '../system/errors.js';
import { addSecret, redactCredentials } from '../system/redact.js';
import type { Environment } from './environment.js';
import { choices, type OptionType, url } from './option-types.js';
import { type GetOption, type OTLP_NAMES, TEMPORALITIES } from './options.js';
import { certificateProblems, type NamedFile } from './otlp-certificates.js';

export interface OtlpSettings {
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** True for points that are sent as differences since the last export, not as totals since the start. */
  readonly delta: { readonly sums: boolean; readonly histograms: boolean };
  readonly names: (typeof OTLP_NAMES)[number];
  /** True for histograms with exponential buckets. */
  readonly exponential: boolean;
}

const DEFAULT_ENDPOINT = 'http://localhost:4318';
const METRICS_PATH = 'v1/metrics';
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 10_000;

const AGGREGATIONS = ['explicit_bucket_histogram', 'base2_exponential_bucket_histogram'] as const;

/** The counters are observable ones in the specification's terms, and lowmemory sends those as totals. */
const DELTA: Readonly<Record<(typeof TEMPORALITIES)[number], OtlpSettings['delta']>> = {
  cumulative: { sums: false, histograms: false },
  delta: { sums: true, histograms: true },
  lowmemory: { sums: false, histograms: true },
};

/**
 * Undefined if neither options nor variables ask for OTLP.
 * @throws AgentError that names every mistake, one per line
 */
export function otlpSettings(get: GetOption, environment: Environment = process.env): OtlpSettings | undefined {
  const otel = new OtelVariables(environment);
  const exporters = otel.read('OTEL_METRICS_EXPORTER', EXPORTERS);
  const endpoint = endpointOf(get('otlp.endpoint'), otel);
  if (otel.text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporters?.includes('none')) return undefined;
  const isAskedFor = endpoint !== undefined || exporters?.includes('otlp') === true;
  if (!isAskedFor && otel.problems.length === 0) return undefined;

  const intervalSeconds = get('otlp.interval');
  const intervalMs =
    intervalSeconds === undefined ? otel.read('OTEL_METRIC_EXPORT_INTERVAL', MILLISECONDS) : intervalSeconds * 1000;
  const timeoutMs = otel.read(otel.variableFor('TIMEOUT') ?? 'OTEL_METRIC_EXPORT_TIMEOUT', MILLISECONDS);
  const temporality =
    get('otlp.temporality') ?? otel.read('OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', TEMPORALITY);
  otel.read(otel.variableFor('PROTOCOL'), choices(['http/protobuf']));
  otel.read(otel.variableFor('COMPRESSION'), choices(['gzip', 'none']));
  for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_METRICS_HEADERS']) checkHeaders(name, otel);
  otel.problems.push(
    ...certificateProblems({
      authority: otel.file('CERTIFICATE'),
      clientKey: otel.file('CLIENT_KEY'),
      clientCertificate: otel.file('CLIENT_CERTIFICATE'),
    }),
  );
  const aggregation = otel.read('OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION', choices(AGGREGATIONS));
  if (otel.problems.length > 0) throw new AgentError(otel.problems.join('\n'));
  return {
    url: endpoint ?? `${DEFAULT_ENDPOINT}/${METRICS_PATH}`,
    intervalMs: intervalMs ?? DEFAULT_INTERVAL_MS,
    timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS,
    delta: DELTA[temporality ?? 'cumulative'],
    names: get('otlp.metric-names'),
    exponential: aggregation === 'base2_exponential_bucket_histogram',
  };
}

type VariableType<T> = Pick<OptionType<T>, 'expected' | 'read'>;

/** `otlp,prometheus`. Prometheus is served in any case. */
const EXPORTERS: VariableType<readonly string[]> = {
  expected: 'otlp, prometheus or none',
  read(text) {
    const names = text.split(',').map((name) => name.trim());
    return names.every((name) => ['otlp', 'prometheus', 'none'].includes(name)) ? names : undefined;
  },
};

const MILLISECONDS: VariableType<number> = {
  expected: 'a number of milliseconds',
  read: (text) => (/^\d{1,8}$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
};

const TEMPORALITY: VariableType<(typeof TEMPORALITIES)[number]> = {
  expected: choices(TEMPORALITIES).expected,
  read: (text) => choices(TEMPORALITIES).read(text.toLowerCase()),
};

class OtelVariables {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Undefined if the variable is not set or empty. */
  text(name: string): string | undefined {
    return this.#environment[name]?.trim() || undefined;
  }

  /** The value; undefined if the variable is not set, or wrong, which is then one of the problems. */
  read<T>(name: string | undefined, { expected, read }: VariableType<T>): T | undefined {
    const text = name === undefined ? undefined : this.text(name);
    if (text === undefined) return undefined;
    const value = read(text);
    if (value === undefined) {
      const shown = read === url.read ? redactCredentials(text) : text;
      this.problems.push(`${name}=${shown}: expected ${expected}`);
    }
    return value;
  }

  /** The variable that is set: the one for metrics alone, else the one for all signals. */
  variableFor(name: string): string | undefined {
    const names = [`OTEL_EXPORTER_OTLP_METRICS_${name}`, `OTEL_EXPORTER_OTLP_${name}`];
    return names.find((candidate) => this.text(candidate) !== undefined);
  }

  file(name: string): NamedFile | undefined {
    const variable = this.variableFor(name);
    const path = variable === undefined ? undefined : this.text(variable);
    return variable === undefined || path === undefined ? undefined : { variable, path };
  }
}

/**
 * The URL for metrics. The variable for metrics alone is used as it is; the path is appended to the option and the
 * shared variable.
 */
function endpointOf(option: URL | undefined, otel: OtelVariables): string | undefined {
  if (option !== undefined) return withMetricsPath(option);
  const name = otel.variableFor('ENDPOINT');
  const value = otel.read(name, url);
  if (value === undefined) return undefined;
  return name === 'OTEL_EXPORTER_OTLP_ENDPOINT' ? withMetricsPath(value) : value.href;
}

function withMetricsPath(base: URL): string {
  const full = new URL(base);
  if (!full.pathname.endsWith(`/${METRICS_PATH}`))
    full.pathname = `${full.pathname.replace(/\/$/, '')}/${METRICS_PATH}`;
  return full.href;
}

/** Headers hold secrets, so the message does not repeat them. */
function checkHeaders(variable: string, otel: OtelVariables): void {
  const pairs = otel.text(variable)?.split(',') ?? [];
  for (const pair of pairs) addHeaderSecrets(pair.slice(pair.indexOf('=') + 1).trim());
  if (pairs.some((pair) => pair.trim() !== '' && !/^\s*[!#$%&'*+.^_`|~\w-]+\s*=/.test(pair)))
    otel.problems.push(`${variable}: expected NAME=VALUE,NAME=VALUE with percent-encoded values`);
}

/** Has the log hide a header's value, as it is given, as it is sent, and each of its words: `Bearer TOKEN`. */
function addHeaderSecrets(given: string): void {
  addSecret(given);
  let sent = given;
  try {
    sent = decodeURIComponent(given);
  } catch {
    // The exporter refuses it.
  }
  for (const value of [sent, ...sent.split(' ')]) addSecret(value);
}
