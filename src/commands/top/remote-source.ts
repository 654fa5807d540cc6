import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { GetOption } from '../../config/options.js';
import { AgentError, errnoReason } from '../../system/errors.js';
import { readText } from '../../system/files.js';
import { hasTooManyValues } from '../../system/json-size.js';
import { parseDetail, parseRates } from './parse-answer.js';
import type { VmSource } from './vm-source.js';

const TIMEOUT_MS = 5000;
/** A row has about 1 kB: an agent of 10,000 VMs. */
const MAX_ANSWER_BYTES = 16 << 20;
/** Such an answer has some 900,000. */
const MAX_ANSWER_MARKS = 2_000_000;

/**
 * The VMs of a running agent, over its web server.
 * @throws AgentError if a file of the options cannot be read, or the URL has a password in it
 */
export function remoteSource(url: URL, get: GetOption): VmSource {
  if (url.username !== '' || url.password !== '')
    throw new AgentError('--url: leave out user and password; give --url.user and --url.password-file');
  const agent = agentFor(url);
  const ask = requester(url, agent, get);
  return {
    name: url.origin,
    async current() {
      return parseRates(await ask('api/vms', 'an agent'));
    },
    async detail(vm) {
      const answer = await ask(`api/vm?name=${encodeURIComponent(vm)}`, undefined);
      return answer === undefined ? undefined : parseDetail(answer);
    },
    close: () => agent.destroy(),
  };
}

function agentFor({ protocol }: URL): HttpAgent | HttpsAgent {
  return protocol === 'https:'
    ? new HttpsAgent({ keepAlive: true, maxSockets: 2 })
    : new HttpAgent({ keepAlive: true });
}

/** Returns a function that gets JSON; undefined for status 404, if nothing is `expected` there. */
function requester(
  url: URL,
  agent: HttpAgent | HttpsAgent,
  get: GetOption,
): (path: string, expected: string | undefined) => Promise<unknown> {
  const base = url.href.endsWith('/') ? url.href : `${url.href}/`;
  const caFile = get('url.ca-file');
  const passwordFile = get('url.password-file');
  const user = get('url.user');
  if ((user === undefined) !== (passwordFile === undefined))
    throw new AgentError('--url.user and --url.password-file belong together: give both, or none');
  const password = passwordFile === undefined ? '' : readText(passwordFile).replace(/\r?\n$/, '');
  const ca = caFile === undefined ? {} : { ca: readText(caFile) };
  const isHttps = url.protocol === 'https:';
  const options = { agent, ...ca, ...(user === undefined ? {} : { auth: `${user}:${password}` }) };
  return async (path, expected) => {
    const { status, text } = await new Promise<Answer>((resolve, reject) => {
      const fail = (error: unknown) => reject(new AgentError(`${url.origin}: ${errnoReason(error, REASONS)}`));
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const request = (isHttps ? requestHttps : requestHttp)(new URL(path, base), { ...options, signal }, (response) =>
        readAnswer(response).then(resolve, fail),
      );
      request.on('error', (error) => fail(signal.aborted ? new Error('no answer within 5 s') : error));
      request.end();
    });
    if (status === 404 && expected === undefined) return undefined;
    if (status !== 200) throw new AgentError(`${url.origin}: ${STATUSES[status] ?? `status ${status}`}`);
    if (hasTooManyValues(text, MAX_ANSWER_MARKS)) throw new AgentError(`${url.origin}: the answer has too many values`);
    try {
      return JSON.parse(text);
    } catch {
      throw new AgentError(`${url.origin}: the answer is not JSON; is ${base} the address of an agent?`);
    }
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const STATUSES: Readonly<Record<number, string>> = {
  401: 'the agent asks for a password: give --url.user and --url.password-file',
  403: 'the agent refuses this client',
  404: 'there is no agent at this address, or one of an older version',
  421: 'the agent does not know this host name: --web.allowed-hosts of the agent',
};

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; is the agent running?',
  ECONNRESET: 'the connection was closed; does the agent expect https?',
  ENOTFOUND: 'no such host',
  EPROTO: 'no TLS; does the agent expect http?',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted: give --url.ca-file',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted: give --url.ca-file',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted: give --url.ca-file',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted: give --url.ca-file',
};

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_ANSWER_BYTES) throw new Error('the answer is longer than 16 MiB');
    pieces.push(piece);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') };
}
