/**
 * Prometheus' web configuration file: TLS, passwords, headers. The same file works for node_exporter, Prometheus and
 * this program.
 *
 *   tls_server_config:
 *     cert_file: server.crt
 *     key_file: server.key
 *     client_auth_type: RequireAndVerifyClientCert
 *     client_ca_file: ca.crt
 *   basic_auth_users: { prometheus: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG }
 *   http_server_config: { headers: { Strict-Transport-Security: max-age=31536000 } }
 *
 * The format is specified in docs/web-configuration.md of prometheus/exporter-toolkit (2026-07). Paths are relative to
 * the file. Unknown keys are errors, as they are there: a misspelt client_auth_type must not admit every client.
 * `http2` is accepted without effect, because this program speaks HTTP/1.1.
 */
import { YamlReader } from './yaml-reader.js';

export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: TlsConfig | undefined;
  /** User -> bcrypt hash. Empty: no password is required. */
  readonly users: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
  readonly rateLimit: RateLimit | undefined;
}

export interface RateLimit {
  readonly intervalMs: number;
  readonly burst: number;
}

/** PEM text, or the path of a file that contains it. */
export interface Pem {
  readonly text?: string;
  readonly file?: string;
}

export interface TlsConfig {
  readonly cert: Pem;
  readonly key: Pem;
  readonly clientCa: Pem | undefined;
  readonly clientAuth: ClientAuth;
  /** Empty: any client. */
  readonly clientSans: readonly string[];
  readonly minVersion: string;
  readonly maxVersion: string;
  readonly ciphers: readonly string[];
  readonly preferServerCiphers: boolean;
  readonly curves: readonly string[];
}

const CLIENT_AUTH_TYPES = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
] as const;
export type ClientAuth = (typeof CLIENT_AUTH_TYPES)[number];

export const PLAIN_HTTP: WebConfig = { tls: undefined, users: new Map(), headers: {}, rateLimit: undefined };

const TOP_KEYS = ['tls_server_config', 'http_server_config', 'basic_auth_users', 'rate_limit'];
const TLS_KEYS = [
  'cert',
  'key',
  'client_ca',
  'cert_file',
  'key_file',
  'client_ca_file',
  'client_auth_type',
  'client_allowed_sans',
  'min_version',
  'max_version',
  'cipher_suites',
  'prefer_server_cipher_suites',
  'curve_preferences',
];
/** Headers that may be set, with the allowed values; [] allows any. */
const ALLOWED_HEADERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['Content-Security-Policy', []],
  ['Strict-Transport-Security', []],
  ['X-Content-Type-Options', ['nosniff']],
  ['X-Frame-Options', ['deny', 'sameorigin']],
  ['X-XSS-Protection', []],
]);
/** A bcrypt hash of cost 4 to 16. At cost 17 a comparison takes longer than a scrape timeout. */
const BCRYPT_HASH = /^\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/;

/** @throws AgentError that lists every problem of the file, without any value that may be a secret */
export function parseWebConfig(path: string, text: string): WebConfig {
  const reader = new YamlReader(path, text);
  const top = reader.section('', reader.root, TOP_KEYS);
  const http = reader.section('http_server_config', top.http_server_config, ['http2', 'headers']);
  reader.boolean('http_server_config.http2', http.http2, true);
  const config = {
    tls: top.tls_server_config === undefined ? undefined : parseTls(reader, top.tls_server_config),
    users: parseUsers(reader, top.basic_auth_users),
    headers: parseHeaders(reader, http.headers),
    rateLimit: parseRateLimit(reader, top.rate_limit),
  };
  reader.throwProblems();
  return config;
}

function parseTls(reader: YamlReader, value: unknown): TlsConfig | undefined {
  const given = reader.section('tls_server_config', value, TLS_KEYS);
  if (Object.keys(given).length === 0) return undefined;
  const name = (key: string) => `tls_server_config.${key}`;
  const pem = (key: string): Pem | undefined => {
    const [text, file] = [
      reader.string(name(key), given[key]),
      reader.string(name(`${key}_file`), given[`${key}_file`]),
    ];
    if (text !== '' && file !== '') reader.addProblem(`${name(key)} and ${name(`${key}_file`)}: give one of them`);
    if (file !== '') return { file };
    return text === '' ? undefined : { text };
  };
  const [cert, key, clientCa] = [pem('cert'), pem('key'), pem('client_ca')];
  if (cert === undefined) reader.addProblem('tls_server_config: missing one of cert or cert_file');
  if (key === undefined) reader.addProblem('tls_server_config: missing one of key or key_file');
  const wanted = reader.string(name('client_auth_type'), given.client_auth_type) || 'NoClientCert';
  // RequireClientCert is an older name of RequireAnyClientCert.
  const clientAuth = reader.oneOf(
    name('client_auth_type'),
    wanted === 'RequireClientCert' ? 'RequireAnyClientCert' : wanted,
    CLIENT_AUTH_TYPES,
    'NoClientCert',
  );
  const clientSans = reader.strings(name('client_allowed_sans'), given.client_allowed_sans);
  checkClientAuth(reader, clientAuth, clientCa, clientSans);
  const version = (key: 'min_version' | 'max_version', defaultVersion: TlsVersion) =>
    reader.oneOf(name(key), reader.string(name(key), given[key]) || defaultVersion, TLS_VERSIONS, defaultVersion);
  const [minVersion, maxVersion] = [version('min_version', 'TLS12'), version('max_version', 'TLS13')];
  if (minVersion > maxVersion) reader.addProblem(`${name('min_version')}: higher than max_version`);
  return {
    cert: cert ?? {},
    key: key ?? {},
    clientCa,
    clientAuth,
    clientSans,
    minVersion,
    maxVersion,
    ciphers: reader.strings(name('cipher_suites'), given.cipher_suites),
    preferServerCiphers: reader.boolean(name('prefer_server_cipher_suites'), given.prefer_server_cipher_suites, true),
    curves: reader.strings(name('curve_preferences'), given.curve_preferences),
  };
}

const TLS_VERSIONS = ['TLS10', 'TLS11', 'TLS12', 'TLS13'] as const;
type TlsVersion = (typeof TLS_VERSIONS)[number];

/** Reports settings that look as if clients were checked although every client would be admitted. */
function checkClientAuth(reader: YamlReader, auth: ClientAuth, ca: Pem | undefined, sans: readonly string[]): void {
  if (ca !== undefined && auth === 'NoClientCert')
    reader.addProblem('tls_server_config.client_ca_file: has no effect without client_auth_type');
  if (ca === undefined && (auth === 'RequireAndVerifyClientCert' || auth === 'VerifyClientCertIfGiven'))
    reader.addProblem(`tls_server_config.client_auth_type: ${auth} needs client_ca_file or client_ca`);
  if (sans.length > 0 && auth !== 'RequireAnyClientCert' && auth !== 'RequireAndVerifyClientCert')
    reader.addProblem('tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert');
}

function parseUsers(reader: YamlReader, value: unknown): Map<string, string> {
  const users = new Map<string, string>();
  for (const [user, hash] of Object.entries(reader.section('basic_auth_users', value))) {
    if (typeof hash === 'string' && BCRYPT_HASH.test(hash)) users.set(user, hash);
    else
      reader.addProblem(
        `basic_auth_users.${user}: not a bcrypt hash ($2y$, cost 4 to 16); make one with htpasswd -nBC 10 ""`,
      );
    if (user.includes(':')) reader.addProblem(`basic_auth_users.${user}: a user name cannot contain a colon`);
  }
  return users;
}

function parseHeaders(reader: YamlReader, value: unknown): Record<string, string> {
  const headers = Object.entries(reader.section('http_server_config.headers', value, [...ALLOWED_HEADERS.keys()]));
  return Object.fromEntries(
    headers.flatMap(([header, given]) => {
      const name = `http_server_config.headers.${header}`;
      const text = reader.string(name, given);
      const allowed = ALLOWED_HEADERS.get(header) ?? [];
      if (allowed.length > 0 && text !== '') reader.oneOf(name, text, allowed, '');
      if (/[^\t\x20-\x7e]/.test(text)) reader.addProblem(`${name}: has characters that are not allowed in a header`);
      return text === '' ? [] : [[header, text]];
    }),
  );
}

function parseRateLimit(reader: YamlReader, value: unknown): RateLimit | undefined {
  const given = reader.section('rate_limit', value, ['interval', 'burst']);
  const interval = reader.string('rate_limit.interval', given.interval) || '0';
  const match = /^(?:(\d+(?:\.\d+)?)(ms|s|m|h)|0)$/.exec(interval);
  if (match === null) reader.addProblem(`rate_limit.interval: expected a duration such as 1s or 500ms`);
  const burst = reader.string('rate_limit.burst', given.burst) || '0';
  if (!/^\d{1,9}$/.test(burst)) reader.addProblem('rate_limit.burst: expected a number');
  const intervalMs = Number(match?.[1] ?? 0) * (MS_PER_UNIT[match?.[2] ?? ''] ?? 0);
  if (intervalMs > 0 && burst === '0')
    reader.addProblem('rate_limit.burst: must be at least 1, else every request is refused');
  return intervalMs > 0 ? { intervalMs, burst: Number(burst) } : undefined;
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
