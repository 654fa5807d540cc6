/**
 * HEALTHCHECK of the container image, which has neither a shell nor curl: exit code 0 if the agent answers, else 1 and
 * the reason.
 *
 * It finds out where the agent listens from the same options as `run`: variables and --config.file apply to both, flags
 * have to be repeated. It sends no password and verifies no certificate: an agent that asks for them is alive.
 */
import { request } from 'node:http';
import { connect } from 'node:tls';
import type { Invocation } from '../config/parse-command-line.js';
import { printable } from '../system/printable.js';
import { redact } from '../system/redact.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Why the agent is not healthy; undefined if it is. */
type Problem = string | undefined;

const TIMEOUT_MS = 4000;

/** Any answer counts: one with status 401 comes from a program that is alive. */
function tryHttp(address: Address): Promise<Problem> {
  return new Promise((resolve) => {
    const call = request({ ...address, path: '/-/healthy', agent: false, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(undefined);
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    call.on('error', (error) => resolve(error.message));
    call.end();
  });
}

/**
 * A completed handshake counts as an answer, and so does an alert, which a server that requires client certificates
 * sends.
 */
function tryTls(address: Address): Promise<Problem> {
  return new Promise((resolve) => {
    const socket = connect({ ...address, rejectUnauthorized: false, timeout: TIMEOUT_MS }, () => {
      resolve(undefined);
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(/^ERR_SSL_.*ALERT/.test(error.code ?? '') ? undefined : error.message),
    );
  });
}

/** Prints the reason if the agent is not healthy. */
export async function healthcheck(invocation: Invocation): Promise<void> {
  const problem = await problemOf(invocation);
  if (problem === undefined) return;
  process.stderr.write(`not healthy: ${printable(redact(problem))}\n`);
  process.exitCode = 1;
}

async function problemOf({ get }: Invocation): Promise<Problem> {
  const [{ host = '127.0.0.1', port }] = get('web.listen-address');
  const address = { host: /^(0\.0\.0\.0|::)$/.test(host) ? '127.0.0.1' : host, port };
  // The file may hold passwords only, without TLS, and it can change at any time: so both protocols are tried.
  if (get('web.config.file') !== undefined && (await tryTls(address)) === undefined) return undefined;
  return tryHttp(address);
}
