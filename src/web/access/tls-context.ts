import { dirname, resolve } from 'node:path';
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls';
import { unknownName } from '../../system/did-you-mean.js';
import { AgentError } from '../../system/errors.js';
import type { Pem, TlsConfig } from './parse-web-config.js';

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
};

/**
 * OpenSSL's names by Go's names (crypto/tls, CipherSuites()), which the file uses. The three suites of TLS 1.3 cannot
 * be chosen in Go, so they are always on ({@link TLS13_CIPHERS}).
 */
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

/** Options of a TLS server, with a certificate in PEM. */
export interface ServerContext extends SecureContextOptions {
  readonly cert: string;
}

/**
 * Certificate, key, versions, ciphers and curves for a TLS server.
 * @param path of the web configuration file: file names in it are relative to it
 * @throws AgentError if a file cannot be read, or if key and certificate do not belong together
 */
export function tlsContext(path: string, config: TlsConfig, readFile: (path: string) => string): ServerContext {
  const read = (pem: Pem) => pem.text ?? readFile(resolve(dirname(path), pem.file ?? ''));
  const ciphers = config.ciphers.map((name) => translate(path, 'cipher', name, CIPHERS)).filter((name) => name !== '');
  const curves = config.curves.map((name) => translate(path, 'curve', name, CURVES));
  const context: ServerContext = {
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
    throw new AgentError(`${path}: tls_server_config: ${explain(error)}`, { cause: error });
  }
  return context;
}

/** Plain words for the last part of OpenSSL's message, where {@link EXPLANATIONS} has some. */
function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const last = text.split(':').at(-1)?.trim() ?? text;
  return (Object.hasOwn(EXPLANATIONS, last) ? EXPLANATIONS[last] : undefined) ?? text;
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  'key values mismatch': 'the key does not belong to the certificate',
  'no start line': 'not in PEM format (-----BEGIN ...)',
  unsupported: 'not in PEM format (-----BEGIN ...), or protected by a password',
};

function translate(path: string, what: string, name: string, names: Readonly<Record<string, string>>): string {
  const translated = Object.hasOwn(names, name) ? names[name] : undefined;
  if (translated === undefined)
    throw new AgentError(`${path}: tls_server_config: ${unknownName(what, name, Object.keys(names))}`);
  return translated;
}
