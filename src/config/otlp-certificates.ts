/** Checks of the certificate files of OTLP: the exporter ignores those that it cannot read. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileError } from '../system/errors.js';

/** The files that variables name; undefined for a variable that is not set. */
export interface CertificateFiles {
  readonly authority: NamedFile | undefined;
  readonly clientKey: NamedFile | undefined;
  readonly clientCertificate: NamedFile | undefined;
}

export interface NamedFile {
  readonly variable: string;
  readonly path: string;
}

/** Returns what is wrong with the files, each with the name of its variable. */
export function certificateProblems({ authority, clientKey, clientCertificate }: CertificateFiles): string[] {
  const problems: string[] = [];
  const read = <T>(file: NamedFile | undefined, what: string, parse: (text: Buffer) => T): T | undefined => {
    if (file === undefined) return undefined;
    let text: Buffer;
    try {
      text = readFileSync(file.path);
    } catch (error) {
      problems.push(`${file.variable}: ${fileError(file.path, error).message}`);
      return undefined;
    }
    try {
      return parse(text);
    } catch {
      problems.push(`${file.variable}: ${file.path} has no ${what} in PEM: expected -----BEGIN ...`);
      return undefined;
    }
  };
  read(authority, 'certificate', parseCertificates);
  const key = read(clientKey, 'private key without a passphrase', (text) => createPrivateKey(text));
  const certificate = read(clientCertificate, 'certificate', parseCertificates);
  if (clientKey !== undefined && clientCertificate === undefined)
    problems.push(`${clientKey.variable}: expected OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too`);
  if (clientKey === undefined && clientCertificate !== undefined)
    problems.push(`${clientCertificate.variable}: expected OTEL_EXPORTER_OTLP_CLIENT_KEY too`);
  if (key !== undefined && certificate !== undefined && !isKeyOf(certificate, key))
    problems.push(`${clientKey?.variable}: ${clientKey?.path} is not the key of ${clientCertificate?.path}`);
  return problems;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The first certificate of a chain. @throws if there is none, or one that cannot be read */
function parseCertificates(text: Buffer): X509Certificate {
  const found = text.toString('latin1').match(PEM_CERTIFICATE) ?? [];
  const [first] = found.map((pem) => new X509Certificate(pem));
  if (first === undefined) throw new Error('no certificate');
  return first;
}

function isKeyOf(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}
