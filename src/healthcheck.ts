#!/usr/bin/env node
/**
 * HEALTHCHECK of the container image, which has no shell and no curl: exit code 0 where the agent answers, else 1 and the reason.
 *
 * It takes the options of `run`, so that it asks where the agent listens: variables and --config.file are the same for both, flags have to be
 * repeated. It knows no password and checks no certificate: an agent that asks for them is alive.
 */
import { request } from 'node:http';
import { connect } from 'node:tls';
import { parseListenAddress } from './config/option-types.js';
import { parseCommandLine } from './config/parse-command-line.js';
import { AgentError } from './system/errors.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What is wrong; undefined: nothing. */
type Verdict = string | undefined;

const PATIENCE_MS = 4000;

/** Any answer will do: 401 comes from a program that is as alive as one that says 200. */
function askOverHttp(address: Address): Promise<Verdict> {
  return new Promise((resolve) => {
    const asked = request({ ...address, path: '/-/healthy', agent: false, timeout: PATIENCE_MS }, (response) => {
      response.resume();
      resolve(undefined);
    });
    asked.on('timeout', () => resolve(`no answer within ${PATIENCE_MS} ms`));
    asked.on('error', (error) => resolve(error.message));
    asked.end();
  });
}

/** A handshake, or an alert (which wants a client's certificate) is an answer. */
function askOverTls(address: Address): Promise<Verdict> {
  return new Promise((resolve) => {
    const socket = connect({ ...address, rejectUnauthorized: false, timeout: PATIENCE_MS }, () => resolve(undefined));
    socket.on('timeout', () => resolve(`no answer within ${PATIENCE_MS} ms`));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(/^ERR_SSL_.*ALERT/.test(error.code ?? '') ? undefined : error.message),
    );
  });
}

async function check(argv: readonly string[]): Promise<Verdict> {
  const { get, getAll } = parseCommandLine(['run', ...argv]);
  const [first = ''] = getAll('web.listen-address');
  const { host, port } = parseListenAddress('web.listen-address', first);
  const address = { host: host === undefined || /^(0\.0\.0\.0|::)$/.test(host) ? '127.0.0.1' : host, port };
  // That file may have passwords only, and can change at any time.
  if (get('web.config.file') !== undefined && (await askOverTls(address)) === undefined) return undefined;
  return askOverHttp(address);
}

try {
  const verdict = await check(process.argv.slice(2));
  if (verdict !== undefined) process.stderr.write(`not healthy: ${verdict}\n`);
  process.exit(verdict === undefined ? 0 : 1);
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  process.stderr.write(`not healthy: ${error.message}\n`);
  process.exit(1);
}
