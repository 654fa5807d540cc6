import type { TLSSocket } from 'node:tls';
import type { TlsConfig } from './parse-web-config.js';

/**
 * Options of the handshake by `client_auth_type`. OpenSSL itself refuses a client only if every client needs a valid
 * certificate; the other types are checked per request, by {@link isClientAllowed}.
 */
export function clientCertificateOptions({ clientAuth }: TlsConfig): {
  requestCert: boolean;
  rejectUnauthorized: boolean;
} {
  return {
    requestCert: clientAuth !== 'NoClientCert',
    rejectUnauthorized: clientAuth === 'RequireAndVerifyClientCert',
  };
}

/** True if the client's certificate meets `client_auth_type` and `client_allowed_sans`. */
export function isClientAllowed({ clientAuth, clientSans }: TlsConfig, socket: TLSSocket): boolean {
  if (clientAuth === 'NoClientCert' || clientAuth === 'RequestClientCert') return true;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return clientAuth === 'VerifyClientCertIfGiven';
  if (clientAuth !== 'RequireAnyClientCert' && !socket.authorized) return false;
  return clientSans.length === 0 || parseSans(certificate.subjectAltName ?? '').some((san) => clientSans.includes(san));
}

/**
 * Values of a certificate's subject alternative names as Node.js formats them: `DNS:a.example, IP Address:10.0.0.1,
 * URI:spiffe://x, email:a@b`. A value that contains a comma or a quote is a JSON string.
 */
function parseSans(text: string): string[] {
  return [...text.matchAll(/(?:^|, )(?:DNS|IP Address|URI|email):("(?:[^"\\]|\\.)*"|[^,]*)/g)].flatMap(
    ([, value = '']) => (value.startsWith('"') ? [JSON.parse(value) as string] : [value]),
  );
}
