/** Attacks by peers that the agent asks: answers that have no end, or never come. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Attack } from '../attack.js';
import { untilAborted } from './sockets.js';

function peer(name: string, answer: RequestListener, args: (url: string) => readonly string[]): Attack {
  return {
    class: 'network',
    name,
    command: 'run',
    prepare: async (folder) => {
      const server = createServer(answer);
      server.listen(0, '127.0.0.1').unref();
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const log = join(folder, 'vm.log');
      writeFileSync(log, 'kvm_run_exit cpu_index 0, reason 2\n');
      return ['--no-collector.kernel', `--qemu.log=${log}`, ...args(`http://127.0.0.1:${port}`)];
    },
    attack: (_target, signal) => untilAborted(signal),
  };
}

const KUBERNETES = (url: string) => ['--kubernetes', '--kubernetes.node=n', `--kubernetes.api-server=${url}`];
const OTLP = (url: string) => [`--otlp.endpoint=${url}`, '--otlp.interval=1s'];
/** Events of a watch that begins after an empty list. */
const LIST = '{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[]}';

/** Answers the list, and every watch by `answer`. */
function watched(answer: (response: ServerResponse) => void): RequestListener {
  return (request, response) => (request.url?.includes('watch=1') ? answer(response) : response.end(LIST));
}

let podNumber = 0;

/** An event about a pod that no event was about before. */
function podEvent(type: string): string {
  const uid = `uid-${podNumber++}`;
  const metadata = { uid, name: `\u001b[2J${uid}`, namespace: '__proto__', resourceVersion: String(podNumber) };
  return `${JSON.stringify({ type, object: { metadata } })}\n`;
}

const POD = JSON.stringify({ metadata: { uid: 'u', name: 'n', namespace: 'n', x: 'x'.repeat(1000) } });

export const PEERS: readonly Attack[] = [
  peer(
    'an API server whose list of pods has no end',
    (_, response) => writeForEver(response, '{"items":[', `${POD},`),
    KUBERNETES,
  ),
  peer(
    'an API server whose answer is one text without end',
    (_, response) => writeForEver(response, '{"kind":"', 'x'),
    KUBERNETES,
  ),
  peer(
    'an API server whose answer nests without end',
    (_, response) => writeForEver(response, '', '{"items":['),
    KUBERNETES,
  ),
  peer('an API server that never answers', () => {}, KUBERNETES),
  peer(
    'an API server whose watch is a line without end',
    watched((response) => writeForEver(response, '{"type":"', 'x')),
    KUBERNETES,
  ),
  ...['ADDED', 'DELETED'].map((type) =>
    peer(
      `an API server whose watch has a new pod in each event: ${type}`,
      watched((response) => writeForEver(response, '', () => podEvent(type))),
      KUBERNETES,
    ),
  ),
  peer(
    'an API server whose watch has empty lines and broken ones',
    watched((response) => writeForEver(response, '', '\n{\n[]\nnull\n"x"\n')),
    KUBERNETES,
  ),
  peer(
    'an API server that ends each watch at once',
    watched((response) => response.end('{"type":"ERROR","object":{"code":410,"message":"too old"}}\n')),
    KUBERNETES,
  ),
  peer('an OTLP receiver whose answer has no end', (_, response) => writeForEver(response, '', 'x'), OTLP),
  peer(
    'an OTLP receiver whose headers are long',
    (_, response) => {
      for (let n = 0; n < 100; n++) response.setHeader(`x-${n}`, 'x'.repeat(5000));
      response.end();
    },
    OTLP,
  ),
  peer(
    'an OTLP receiver that redirects to itself',
    (request, response) => {
      response.writeHead(307, { location: `http://${request.headers.host}/again` }).end();
    },
    OTLP,
  ),
  peer(
    'an OTLP receiver that asks to try again at once',
    (_, response) => {
      response.writeHead(503, { 'retry-after': '0' }).end('x'.repeat(100_000));
    },
    OTLP,
  ),
  peer('an OTLP receiver that never answers', () => {}, OTLP),
  peer(
    'an OTLP receiver that answers byte by byte',
    (_, response) => {
      const timer = setInterval(() => response.write('x'), 100);
      response.once('close', () => clearInterval(timer));
    },
    OTLP,
  ),
];

function writeForEver(response: ServerResponse, start: string, piece: string | (() => string)): void {
  const same = typeof piece === 'string' ? piece.repeat(Math.ceil(1e6 / piece.length)) : '';
  const next = typeof piece === 'string' ? () => same : () => Array.from({ length: 1000 }, piece).join('');
  const send = () => {
    while (!response.destroyed && response.write(next()));
  };
  response.on('drain', send).write(start === '' ? ' ' : start);
  send();
}
