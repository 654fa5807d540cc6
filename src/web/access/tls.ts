import { dirname, resolve } from 'node:path';
import { createSecureContext, type SecureContextOptions, type SecureVersion, type TLSSocket } from 'node:tls';
import { unknown } from '../../system/did-you-mean.js';
import { AgentError } from '../../system/errors.js';
import type { Pem, TlsConfig } from './web-config.js';

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
};

/** Go's names, which the file uses (crypto/tls, CipherSuites()), and OpenSSL's. The three of TLS 1.3 can't be chosen there, and so not here. */
const CIPHERS: Readonly<Record<string, string>> = {
  TLS_AES_128_GCM_SHA256: '',
  TLS_AES_256_GCM_SHA384: '',
  TLS_CHACHA20_POLY1305_SHA256: '',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
};
const TLS13_CIPHERS = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const CURVES: Readonly<Record<string, string>> = {
  CurveP256: 'P-256',
  CurveP384: 'P-384',
  CurveP521: 'P-521',
  X25519: 'X25519',
};

/**
 * What handshakes need. `path`: of the web configuration file, which names of certificates are relative to.
 * @throws AgentError where a file can't be read, or what is in it does not fit together
 */
export function secureContextOf(
  path: string,
  config: TlsConfig,
  readFile: (path: string) => string,
): SecureContextOptions {
  const read = (pem: Pem) => pem.text ?? readFile(resolve(dirname(path), pem.file ?? ''));
  const ciphers = config.ciphers.map((name) => translated(path, 'cipher', name, CIPHERS)).filter((name) => name !== '');
  const curves = config.curves.map((name) => translated(path, 'curve', name, CURVES));
  const context: SecureContextOptions = {
    cert: read(config.cert),
    key: read(config.key),
    minVersion: VERSIONS[config.minVersion] ?? 'TLSv1.2',
    maxVersion: VERSIONS[config.maxVersion] ?? 'TLSv1.3',
    honorCipherOrder: config.preferServerCiphers,
    ...(config.clientCa === undefined ? {} : { ca: read(config.clientCa) }),
    ...(ciphers.length === 0 ? {} : { ciphers: [...TLS13_CIPHERS, ...ciphers].join(':') }),
    ...(curves.length === 0 ? {} : { ecdhCurve: curves.join(':') }),
  };
  try {
    createSecureContext(context);
  } catch (error) {
    throw new AgentError(`${path}: tls_server_config: ${reasonOf(error)}`, { cause: error });
  }
  return context;
}

/** OpenSSL's own words end in what a user can understand. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const last = text.split(':').at(-1)?.trim() ?? text;
  return REASONS[last] ?? text;
}

const REASONS: Readonly<Record<string, string>> = {
  'key values mismatch': 'the key does not belong to the certificate',
  'no start line': 'not in PEM format (-----BEGIN ...)',
  unsupported: 'not in PEM format (-----BEGIN ...), or protected by a password',
};

function translated(path: string, what: string, name: string, names: Readonly<Record<string, string>>): string {
  const own = Object.hasOwn(names, name) ? names[name] : undefined;
  if (own === undefined) throw new AgentError(`${path}: tls_server_config: ${unknown(what, name, Object.keys(names))}`);
  return own;
}

/** What the handshake asks of clients. Only where every one must have a valid certificate does it end by itself. */
export function clientRequest({ clientAuth }: TlsConfig): { requestCert: boolean; rejectUnauthorized: boolean } {
  return {
    requestCert: clientAuth !== 'NoClientCert',
    rejectUnauthorized: clientAuth === 'RequireAndVerifyClientCert',
  };
}

/** Whether the client's certificate is what the configuration asks for. */
export function clientAllowed({ clientAuth, clientSans }: TlsConfig, socket: TLSSocket): boolean {
  if (clientAuth === 'NoClientCert' || clientAuth === 'RequestClientCert') return true;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return clientAuth === 'VerifyClientCertIfGiven';
  if (clientAuth !== 'RequireAnyClientCert' && !socket.authorized) return false;
  return clientSans.length === 0 || sansOf(certificate.subjectAltName ?? '').some((san) => clientSans.includes(san));
}

/** As Node.js writes them: `DNS:a.example, IP Address:10.0.0.1, URI:spiffe://x, email:a@b`; quoted where a value has a comma or so. */
function sansOf(text: string): string[] {
  return [...text.matchAll(/(?:^|, )(?:DNS|IP Address|URI|email):("(?:[^"\\]|\\.)*"|[^,]*)/g)].flatMap(
    ([, value = '']) => (value.startsWith('"') ? [JSON.parse(value) as string] : [value]),
  );
}
