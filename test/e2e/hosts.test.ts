/** Requests to other host names: a web page that has its name resolve to this machine must not read the agent. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { ask, statusOf, WebAgent } from '../support/agent/web-agent.js';
import { CertificateAuthority } from '../support/certificate-authority.js';
import { endAll } from '../support/end-later.js';
import { needs } from '../support/requirements.js';

const OPENSSL = needs('openssl');
const authority = OPENSSL.skip === false ? new CertificateAuthority() : undefined;
afterEach(endAll);

test('every path refuses an unknown host name with 421 and says what to do', async () => {
  const agent = await WebAgent.start();
  for (const path of ['/metrics', '/', '/docs', '/api/vms', '/-/healthy', '/-/ready', '/nowhere']) {
    const answer = await ask(agent.url + path, { headers: { host: 'rebound.example:10586' } });
    assert.ok(typeof answer !== 'string');
    assert.equal(answer.status, 421, path);
    assert.match(answer.body.toString(), /--web\.allowed-hosts=rebound\.example\n$/);
    for (const host of ['localhost', '127.0.0.1', '[::1]', '10.244.0.7', hostname()])
      assert.notEqual(await statusOf(agent.url + path, { headers: { host: `${host}:10586` } }), 421, `${host} ${path}`);
  }
  assert.equal(agent.log.match(/host=rebound\.example/g)?.length, 1, 'more than one line in the log');
});

test('--web.allowed-hosts and the node name of a pod are allowed', async () => {
  const environment = { KVM_EXIT_EXPORTER_WEB_ALLOWED_HOSTS: 'agent, *.svc', K8S_NODE_NAME: 'node-1.example' };
  const agent = await WebAgent.startCommand('demo', [], environment);
  for (const host of ['agent:10586', 'kvm-exit-exporter.monitoring.svc:10586', 'node-1.example'])
    assert.equal(await statusOf(`${agent.url}/metrics`, { headers: { host } }), 200, host);
  assert.equal(await statusOf(`${agent.url}/metrics`, { headers: { host: 'agent.example' } }), 421);
});

test('HTTP/1.0 needs no Host header', async () => {
  const { port } = await WebAgent.start();
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /-/healthy HTTP/1.0\r\n\r\n');
  let text = '';
  for await (const piece of socket) text += piece;
  assert.match(text, /^HTTP\/1\.1 200 /);
});

/** Status of the answer to the bytes of one request. */
async function rawStatus(port: number, request: string): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  let text = '';
  for await (const piece of socket) text += piece;
  return /^HTTP\/1\.1 (\d+) /.exec(text)?.[1];
}

test('the host of a whole URL counts, and what a proxy adds does not', async () => {
  const { port } = await WebAgent.start();
  const ask = (line: string, ...headers: string[]) =>
    rawStatus(port, [`${line} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'));
  const local = 'Host: localhost';
  for (const url of ['http://localhost/metrics', 'HTTP://127.0.0.1:80/metrics', 'http://[::1]/metrics?x'])
    assert.equal(await ask(`GET ${url}`, local), '200', url);
  for (const url of ['http://rebound.example/metrics', 'http://user@localhost/metrics', 'http://localhost@a.example/'])
    assert.equal(await ask(`GET ${url}`, local), '421', url);
  const foreign = 'Host: rebound.example';
  for (const header of ['X-Forwarded-Host: localhost', 'Forwarded: host=localhost', 'X-Forwarded-For: 127.0.0.1'])
    assert.equal(await ask('GET /metrics', foreign, header), '421', header);
  for (const two of [
    [local, foreign],
    [foreign, local],
    [local, local],
  ])
    assert.equal(await ask('GET /metrics', ...two), '421', two.join());
});

test('names of the certificate are allowed', OPENSSL, async () => {
  assert.ok(authority !== undefined);
  authority.issue('names', { san: 'DNS:kvm.example,DNS:*.kvm.example' });
  const file = join(authority.folder, 'names.yml');
  writeFileSync(file, 'tls_server_config:\n  cert_file: names.crt\n  key_file: names.key\n');
  const agent = await WebAgent.start(`--web.config.file=${file}`);
  const ask = (host: string) =>
    statusOf(`${agent.url}/metrics`, { rejectUnauthorized: false, headers: { host } } as object);
  assert.deepEqual(await Promise.all(['kvm.example', 'a.kvm.example:1', 'evil.example'].map(ask)), [200, 200, 421]);
});
